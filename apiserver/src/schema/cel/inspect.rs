//! Decides what can be said about a rule without an object: that its functions and variables exist, that the fields it
//! names are declared, and what it costs. The interpreter itself checks none of this before a rule runs.

use std::collections::BTreeSet;

use kube_cel::cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use kube_cel::cel::{Context, ExecutionError, IdedExpr, Value as CelValue};

use super::super::node::{Additional, Node, Type};
use super::cost::Cost;
use super::growth::Growth;
use super::request::Names;
use super::values::escaped;

/// How deep an expression may nest; evaluation recurses.
const MAX_DEPTH: usize = 128;

/// What upstream's expressions ask what somebody may do.
const AUTHORIZER: &str = "authorizer";

/// Names that are no variables: namespaces of functions, and types.
const NAMES: [&str; 24] = [
    "base64",
    "bool",
    "bytes",
    "cel",
    "cidr",
    "double",
    "dyn",
    "duration",
    "format",
    "int",
    "ip",
    "jsonpatch",
    "list",
    "lists",
    "map",
    "math",
    "null_type",
    "optional",
    "optional_type",
    "quantity",
    "sets",
    "string",
    "strings",
    "uint",
];

/// What an expression may speak of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// `self` and `oldSelf`, with the schema that the rule stands in.
    Rule(&'a Node),
    /// A request.
    Request(&'a Names<'a>),
}

impl Scope<'_> {
    /// Runs something with the functions that there are.
    pub(super) fn with_functions<T>(&self, run: impl FnOnce(&Context<'static>) -> T) -> T {
        match self {
            Self::Rule(_) => super::with_functions(run),
            Self::Request(_) => super::request::with_functions(run),
        }
    }
}

/// What an inspection found.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) cost: Cost,
    /// Whether `oldSelf` is used.
    pub(super) old_self: bool,
    /// The fields of `variables` that are used.
    pub(super) variables: BTreeSet<String>,
}

/// What is known of a value's type.
#[derive(Debug, Clone, Copy)]
enum Shape<'a> {
    /// Nothing; it may be as large as the object.
    Unknown,
    /// A single number, text or flag.
    Scalar,
    /// What this schema says.
    Of(&'a Node),
}

impl<'a> Shape<'a> {
    fn is_scalar(self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Scalar => true,
            Self::Of(node) => node.int_or_string || !matches!(node.kind, None | Some(Type::Object | Type::Array)),
        }
    }

    /// Whether it is declared to be a number or a flag.
    fn is_number(self) -> bool {
        match self {
            Self::Of(node) => {
                !node.int_or_string && matches!(node.kind, Some(Type::Integer | Type::Number | Type::Boolean))
            }
            _ => false,
        }
    }

    /// What is known of its size, given what it is a part of.
    fn bounds(self, growth: Growth) -> Growth {
        match self {
            _ if self.is_number() => Growth::NONE,
            _ if self.is_scalar() => growth.of_text(),
            _ => growth,
        }
    }

    /// An element of a list, or a value of a map.
    fn element(self) -> Self {
        let Self::Of(node) = self else { return Self::Unknown };
        match (&node.items, &node.additional) {
            (Some(items), _) => Self::Of(items),
            (None, Additional::Schema(child)) => Self::Of(child),
            _ => Self::Unknown,
        }
    }

    /// A field, or that there is none.
    fn field(self, name: &str) -> Result<Shape<'a>, String> {
        let Self::Of(node) = self else { return Ok(Self::Unknown) };
        if node.kind != Some(Type::Object) {
            return Ok(Self::Unknown);
        }
        if let Additional::Schema(child) = &node.additional {
            return Ok(Self::Of(child));
        }
        if let Some((_, child)) = node.properties.iter().find(|(property, _)| escaped(property) == name) {
            return Ok(Self::Of(child));
        }
        let own = matches!(name, "apiVersion" | "kind" | "metadata");
        if own || node.preserve_unknown || matches!(node.additional, Additional::Any) {
            return Ok(Self::Unknown);
        }
        Err(format!("undefined field '{name}'"))
    }
}

/// Inspects an expression; the error says what is wrong, in upstream's words.
pub(super) fn inspect(expression: &IdedExpr, scope: &Scope<'_>, functions: &Context<'_>) -> Result<Findings, String> {
    let mut inspector =
        Inspector { scope: *scope, functions, bound: Vec::new(), old_self: false, variables: BTreeSet::new() };
    let (_, _, cost) = inspector.walk(expression, 0)?;
    Ok(Findings { cost, old_self: inspector.old_self, variables: inspector.variables })
}

struct Inspector<'a, 'c> {
    scope: Scope<'a>,
    functions: &'c Context<'c>,
    /// Loop variables, innermost last.
    bound: Vec<(String, Shape<'a>, Growth)>,
    old_self: bool,
    variables: BTreeSet<String>,
}

impl<'a> Inspector<'a, '_> {
    fn walk(&mut self, expression: &IdedExpr, depth: usize) -> Result<(Shape<'a>, Growth, Cost), String> {
        if depth > MAX_DEPTH {
            return Err(format!("an expression must not nest deeper than {MAX_DEPTH} levels"));
        }
        let depth = depth + 1;
        match &expression.expr {
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::String(text) => (Shape::Scalar, Growth::written(text.inner().len().max(1)), Cost::step()),
                LiteralValue::Bytes(text) => (Shape::Scalar, Growth::written(text.inner().len().max(1)), Cost::step()),
                _ => (Shape::Scalar, Growth::NONE, Cost::step()),
            }),
            Expr::Ident(name) => {
                let (shape, growth) = self.variable(name)?;
                Ok((shape, growth, Cost::step()))
            }
            Expr::Select(select) => {
                self.look_at_field(&select.operand, &select.field)?;
                let (operand, growth, cost) = self.walk(&select.operand, depth)?;
                // A test for a field is a flag.
                let field = operand.field(&select.field)?;
                let growth = if select.test { Growth::NONE } else { field.bounds(growth) };
                Ok((if select.test { Shape::Scalar } else { field }, growth, cost.plus(Cost::step())))
            }
            Expr::Call(call) => {
                if matches!(self.scope, Scope::Request(_)) && call.target.as_deref().is_some_and(asks_for_access) {
                    self.variable(AUTHORIZER)?;
                }
                if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    self.function(&call.func_name, call.target.as_deref())?;
                }
                let mut cost = Cost::default();
                let (mut shapes, mut growths) = (Vec::new(), Vec::new());
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    let (shape, growth, part) = self.walk(part, depth)?;
                    shapes.push(shape);
                    growths.push(growth);
                    cost = cost.plus(part);
                }
                cost.splits |= matches!(call.func_name.as_str(), "split" | "findAll");
                let first = shapes.first().copied().unwrap_or(Shape::Unknown);
                let shape = match (call.func_name.as_str(), call.args.as_slice()) {
                    // `a.?b`, which was rewritten. An optional's own methods are no fields, so nothing is said of it.
                    (operators::OPT_INDEX, [_, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }]) => {
                        first.field(name.inner())?;
                        Shape::Unknown
                    }
                    (operators::INDEX, _) => first.element(),
                    (operators::CONDITIONAL, _) if shapes.iter().skip(1).all(|shape| shape.is_scalar()) => {
                        Shape::Scalar
                    }
                    (name, _) if yields_scalar(name) => Shape::Scalar,
                    (operators::ADD | operators::SUBSTRACT, _) if first.is_scalar() => Shape::Scalar,
                    _ => Shape::Unknown,
                };
                // Operands of a scalar's size are cheap to handle; others may be copied whole.
                let copies = !is_cheap(&call.func_name) && !shapes.iter().any(|shape| shape.is_scalar());
                cost = cost.plus(if copies { Cost::copy() } else { Cost::step() });
                let name = call.func_name.as_str();
                let is_sum = name == operators::ADD;
                if yields_number(name) || shape.is_number() || is_sum && growths.contains(&Growth::NONE) {
                    return Ok((shape, Growth::NONE, cost));
                }
                if is_sum && call.args.iter().any(|part| matches!(part.expr, Expr::List(_))) {
                    return Ok((shape, Growth::lists(&growths), cost));
                }
                let growth = shape.bounds(Growth::made_by(name, &growths));
                Ok((shape, growth, if is_cheap(name) { cost } else { cost.plus(Cost::making(growth)) }))
            }
            Expr::List(list) => {
                let mut cost = Cost::literal(list.elements.len());
                let mut growth = Growth { width: 1.0, ..Growth::NONE };
                for element in &list.elements {
                    let (_, element, part) = self.walk(element, depth)?;
                    growth = growth.or(element);
                    cost = cost.plus(part);
                }
                Ok((Shape::Unknown, growth, cost))
            }
            Expr::Map(map) => {
                let mut cost = Cost::literal(map.entries.len());
                let mut growth = Growth { width: 1.0, ..Growth::NONE };
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    for part in [&entry.key, &entry.value] {
                        let (_, part, costs) = self.walk(part, depth)?;
                        growth = growth.or(part);
                        cost = cost.plus(costs);
                    }
                }
                Ok((Shape::Unknown, growth, cost))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::Struct(message) => Err(format!("undeclared reference to '{}' (in container '')", message.type_name)),
            Expr::Unspecified => Err("the expression is empty".to_owned()),
        }
    }

    fn comprehension(&mut self, loop_: &ComprehensionExpr, depth: usize) -> Result<(Shape<'a>, Growth, Cost), String> {
        let (range, growth, cost) = self.walk(&loop_.iter_range, depth)?;
        let (accumulator, _, start) = self.walk(&loop_.accu_init, depth)?;
        let outer = self.bound.len();
        // Over a list the variable is an element; over a map, a key.
        let variable = match range {
            Shape::Of(node) if node.kind == Some(Type::Array) => range.element(),
            Shape::Of(node) if node.kind == Some(Type::Object) => Shape::Scalar,
            _ => Shape::Unknown,
        };
        self.bound.push((loop_.iter_var.clone(), variable, variable.bounds(growth)));
        self.bound.extend(loop_.iter_var2.iter().map(|name| (name.clone(), Shape::Unknown, growth)));
        // What a macro builds has an element for each turn, so that only the elements' own size counts.
        self.bound.push((loop_.accu_var.clone(), accumulator, Growth::EMPTY));
        let (_, _, condition) = self.walk(&loop_.loop_cond, depth)?;
        let (_, element, step) = self.walk(&loop_.loop_step, depth)?;
        let (shape, _, result) = self.walk(&loop_.result, depth)?;
        self.bound.truncate(outer);
        // The interpreter copies each element, and a list that it builds is copied on every turn.
        let builds = matches!(loop_.accu_init.expr, Expr::List(_) | Expr::Map(_));
        let turn = if builds { Cost::copy() } else { Cost::step() };
        let turns = condition.plus(step).plus(turn).for_each(growth.width);
        let cost = cost.plus(start).plus(Cost::copy()).plus(turns).plus(result);
        Ok((shape, growth.or(element), cost))
    }

    fn variable(&mut self, name: &str) -> Result<(Shape<'a>, Growth), String> {
        if let Some((_, shape, growth)) = self.bound.iter().rev().find(|(bound, _, _)| bound == name) {
            return Ok((*shape, *growth));
        }
        let shape = self.given(name)?;
        Ok((shape, shape.bounds(Growth::GIVEN)))
    }

    fn given(&mut self, name: &str) -> Result<Shape<'a>, String> {
        match (self.scope, name) {
            (Scope::Rule(root), "self") => Ok(Shape::Of(root)),
            (Scope::Rule(_), "oldSelf") => {
                self.old_self = true;
                // With `optionalOldSelf` this is an optional, whose methods are no fields.
                Ok(Shape::Unknown)
            }
            (Scope::Request(names), name) if names.has(name) => Ok(Shape::Unknown),
            (Scope::Request(_), AUTHORIZER) => {
                Err("this server does not answer questions of access (`authorizer`) in expressions".to_owned())
            }
            (_, name) if NAMES.contains(&name) => Ok(Shape::Scalar),
            (_, name) => Err(format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    /// Refuses a field that what is known of a request doesn't have.
    fn look_at_field(&mut self, operand: &IdedExpr, field: &str) -> Result<(), String> {
        let (Scope::Request(names), Expr::Ident(name)) = (self.scope, &operand.expr) else { return Ok(()) };
        if self.is_bound(name) {
            return Ok(());
        }
        if name == "variables" {
            self.variables.insert(field.to_owned());
        }
        if names.may_have(name, field) { Ok(()) } else { Err(format!("undefined field '{field}'")) }
    }

    /// Whether a function exists, found by calling it with nothing.
    fn function(&self, name: &str, target: Option<&IdedExpr>) -> Result<(), String> {
        let namespace = match target.map(|target| &target.expr) {
            Some(Expr::Ident(space)) if NAMES.contains(&space.as_str()) && !self.is_bound(space) => Some(space),
            _ => None,
        };
        let qualified = namespace.map(|space| format!("{space}.{name}"));
        let known = |name: &str| {
            let call = IdedExpr {
                id: 0,
                expr: Expr::Call(kube_cel::cel::common::ast::CallExpr {
                    func_name: name.to_owned(),
                    target: None,
                    args: Vec::new(),
                }),
            };
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| CelValue::resolve(&call, self.functions)));
            !matches!(result, Ok(Err(ExecutionError::UndeclaredReference(_))))
        };
        if qualified.as_deref().is_some_and(known) || known(name) {
            return Ok(());
        }
        let shown = qualified.unwrap_or_else(|| name.to_owned());
        Err(format!("undeclared reference to '{shown}' (in container ''): this server does not know the function"))
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|(bound, _, _)| bound == name)
    }
}

/// Whether a chain of calls begins with the question of what somebody may do.
fn asks_for_access(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Ident(name) => name == AUTHORIZER,
        Expr::Call(call) => call.target.as_deref().is_some_and(asks_for_access),
        Expr::Select(select) => asks_for_access(&select.operand),
        _ => false,
    }
}

/// Whether the result is a number or a flag, whatever the operands.
fn yields_number(function: &str) -> bool {
    yields_scalar(function) && !matches!(function, "string" | "lowerAscii" | "upperAscii" | "trim")
}

/// Whether the result is a single value, whatever the operands.
fn yields_scalar(function: &str) -> bool {
    matches!(
        function,
        operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NEGATE
            | operators::NOT_STRICTLY_FALSE
            | operators::IN
            | "size"
            | "matches"
            | "startsWith"
            | "endsWith"
            | "contains"
            | "string"
            | "int"
            | "double"
            | "lowerAscii"
            | "upperAscii"
            | "trim"
    )
}

/// Whether the interpreter does it without copying its operands.
fn is_cheap(function: &str) -> bool {
    matches!(
        function,
        operators::CONDITIONAL
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NEGATE
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::INDEX
            | operators::NOT_STRICTLY_FALSE
    )
}
