//! Expressions about requests, as policies have them: what they may name, what they yield, and how they are evaluated.
//!
//! An expression is compiled once and shared. Evaluation is bounded as that of a schema's rules is: nothing that a user
//! sends, and nothing that a policy makes of it, hangs a request.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, ExecutionError, IdedExpr, Value as CelValue};
use serde_json::Value;

use super::compile::{parsed, parts};
use super::cost::{Cost, Size};
use super::inspect::Scope;
use super::yields::{self, Yield};
use super::{Node, OBJECT_BUDGET, RULE_BUDGET, explained, values};

/// The largest value of a variable, in letters and nodes together.
const MAX_VARIABLE: usize = 1 << 20;
/// The longest message that an expression may make.
const MAX_MESSAGE: usize = 5 * 1024;

/// What is known of a request, and what of that has only certain fields.
const REQUEST_FIELDS: [&str; 12] = [
    "kind",
    "resource",
    "subResource",
    "requestKind",
    "requestResource",
    "requestSubResource",
    "name",
    "namespace",
    "operation",
    "userInfo",
    "dryRun",
    "options",
];

/// What an expression may name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    /// Whether there are `params`.
    pub(crate) params: bool,
    /// The fields of `variables`; `None` where there are no such.
    pub(crate) variables: Option<&'a [String]>,
}

impl Names<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        match name {
            "object" | "oldObject" | "request" | "namespaceObject" => true,
            "params" => self.params,
            "variables" => self.variables.is_some(),
            _ => false,
        }
    }

    pub(super) fn may_have(&self, name: &str, field: &str) -> bool {
        match name {
            "request" => REQUEST_FIELDS.contains(&field),
            "variables" => self.variables.is_none_or(|known| known.iter().any(|known| known == field)),
            _ => true,
        }
    }
}

/// What an expression must yield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// True or false.
    Bool,
    /// A text.
    Text,
    /// A text, or nothing.
    TextOrNull,
    /// Anything.
    Any,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    text: String,
    parsed: IdedExpr,
    cost: Cost,
    variables: BTreeSet<String>,
}

impl Expression {
    /// Compiles an expression; the error says what is wrong with it.
    pub(crate) fn compile(text: &str, names: &Names<'_>, wanted: Wanted) -> Result<Self, String> {
        let scope = Scope::Request(names);
        let (mut parsed, findings) = parsed(text, &scope).map_err(|detail| format!("compilation failed: {detail}"))?;
        let node = Node::anything();
        let found = yields::of(&parsed, &node);
        let got = match (wanted, found) {
            (Wanted::Bool, Yield::Text) => Some("string"),
            (Wanted::Bool, Yield::Other | Yield::NotBool) => Some("another type"),
            (Wanted::Text | Wanted::TextOrNull, Yield::Bool) => Some("bool"),
            (Wanted::Text, Yield::Other) => Some("another type"),
            _ => None,
        };
        if let Some(got) = got {
            return Err(match wanted {
                Wanted::TextOrNull => format!("must evaluate to one of [string null_type] but got {got}"),
                Wanted::Text => format!("must evaluate to string but got {got}"),
                _ => format!("must evaluate to bool but got {got}"),
            });
        }
        insist(&mut parsed);
        Ok(Self { text: text.to_owned(), parsed, cost: findings.cost, variables: findings.variables })
    }

    /// The expression as written.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }
}

/// Writes `a.b` as `a['b']`, and `has(a.b)` as `'b' in a`: where `a` has no fields at all, as an object that isn't there,
/// the interpreter takes the first for false.
fn insist(expression: &mut IdedExpr) {
    parts(expression).into_iter().for_each(insist);
    let Expr::Select(select) = &mut expression.expr else { return };
    let field = LiteralValue::String(select.field.as_str().into());
    let operand = std::mem::replace(&mut *select.operand, IdedExpr { id: 0, expr: Expr::Unspecified });
    let field = IdedExpr { id: 0, expr: Expr::Literal(field) };
    let (func_name, args) = match select.test {
        true => (operators::IN, vec![field, operand]),
        false => (operators::INDEX, vec![operand, field]),
    };
    expression.expr = Expr::Call(CallExpr { func_name: func_name.to_owned(), target: None, args });
}

/// Everything that expressions are told of a request.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    values: Vec<(&'static str, CelValue)>,
    size: Size,
}

impl Scene {
    /// With a name that means this value.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &Value) -> Self {
        self.size = self.size.and(Some(Size::of(value)));
        self.values.push((name, values::plain(value)));
        self
    }
}

/// Why an expression yields nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It can't be evaluated.
    Error(String),
    /// It would take too long, together with what was evaluated before.
    Budget,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(why) => f.write_str(why),
            Self::Budget => f.write_str(
                "validation failed due to running out of cost budget, no further validation rules will be run",
            ),
        }
    }
}

/// What an expression yields, as far as anybody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Bool(bool),
    Text(String),
    Null,
    Other,
}

/// The variables of a policy, each made of those before it.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    order: Vec<(String, Expression)>,
    places: HashMap<String, usize>,
}

impl Variables {
    /// Adds one behind those that it may speak of.
    pub(crate) fn add(&mut self, name: String, expression: Expression) {
        self.places.insert(name.clone(), self.order.len());
        self.order.push((name, expression));
    }

    /// The variables that an expression needs, directly or not, in their order.
    fn needed(&self, expression: &Expression) -> Vec<&(String, Expression)> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<&String> = expression.variables.iter().collect();
        while let Some(name) = open.pop() {
            if let Some(place) = self.places.get(name)
                && needed.insert(*place)
            {
                open.extend(&self.order[*place].1.variables);
            }
        }
        needed.into_iter().map(|place| &self.order[place]).collect()
    }
}

/// Evaluates the expressions of one policy about one request.
pub(crate) struct Run<'a> {
    scenes: [&'a Scene; 2],
    variables: &'a Variables,
    known: HashMap<String, Result<CelValue, String>>,
    size: Size,
    spent: f64,
}

impl<'a> Run<'a> {
    /// With what is told of the request, and of what the policy adds to it.
    pub(crate) fn new(scenes: [&'a Scene; 2], variables: &'a Variables) -> Self {
        let size = scenes[0].size.and(Some(scenes[1].size));
        Self { scenes, variables, known: HashMap::new(), size, spent: 0.0 }
    }

    /// What has been spent so far, in the units of [`Run::over`].
    pub(crate) fn spent(&self) -> f64 {
        self.spent
    }

    /// What an expression yields.
    pub(crate) fn evaluate(&mut self, expression: &Expression) -> Result<Outcome, Failure> {
        let in_error = |why| Failure::Error(format!("expression '{}' resulted in error: {why}", expression.text));
        Ok(match self.resolve(expression)?.map_err(in_error)? {
            CelValue::Bool(flag) => Outcome::Bool(flag),
            CelValue::String(text) => Outcome::Text(text.to_string()),
            CelValue::Null => Outcome::Null,
            _ => Outcome::Other,
        })
    }

    /// The text that an expression yields, if it is fit for a message.
    pub(crate) fn message(&mut self, expression: &Expression) -> Result<Option<String>, Failure> {
        match self.resolve(expression)? {
            Ok(CelValue::String(text)) => {
                let text = text.trim();
                let is_fit = !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
                Ok(is_fit.then(|| text.to_owned()))
            }
            _ => Ok(None),
        }
    }

    fn resolve(&mut self, expression: &Expression) -> Result<Result<CelValue, String>, Failure> {
        let variables = self.variables;
        for (name, variable) in variables.needed(expression) {
            // Each at most once.
            if self.known.contains_key(name) {
                continue;
            }
            let value = self.resolve_alone(variable)?;
            let value = value.and_then(|value| match Size::of_result(&value, MAX_VARIABLE) {
                Some(size) => {
                    self.size = self.size.and(Some(size));
                    Ok(value)
                }
                None => Err("the value is too large".to_owned()),
            });
            self.known.insert(name.clone(), value);
        }
        self.resolve_alone(expression)
    }

    /// The value of an expression whose variables are known.
    fn resolve_alone(&mut self, expression: &Expression) -> Result<Result<CelValue, String>, Failure> {
        let cost = expression.cost.at(&self.size);
        self.spent += cost;
        if self.spent > OBJECT_BUDGET {
            return Err(Failure::Budget);
        }
        if cost > RULE_BUDGET {
            return Ok(Err("operation cancelled: actual cost limit exceeded".to_owned()));
        }
        let result = with_functions(|functions| {
            let mut context = functions.new_inner_scope();
            for (name, value) in self.scenes.iter().flat_map(|scene| &scene.values) {
                context.add_variable_from_value(*name, value.clone());
            }
            if !expression.variables.is_empty() {
                context.add_variable_from_value("variables", self.variables_of(expression));
            }
            super::resolve_raw(&expression.parsed, &context)
        });
        Ok(result.map_err(|error| match &error {
            Some(ExecutionError::NoSuchKey(key)) => match self.known.get(key.as_str()) {
                Some(Err(why)) if expression.variables.contains(key.as_str()) => {
                    format!("composited variable {key:?} fails to evaluate: {why}")
                }
                _ => format!("no such key: {key}"),
            },
            Some(error) => explained(error),
            None => "the expression could not be evaluated".to_owned(),
        }))
    }

    /// The variables that an expression uses; one that can't be evaluated isn't there, and only missed where it is used.
    fn variables_of(&self, expression: &Expression) -> CelValue {
        let found = expression.variables.iter().filter_map(|name| {
            let value = self.known.get(name)?.as_ref().ok()?;
            Some((Key::String(Arc::new(name.clone())), value.clone()))
        });
        CelValue::Map(Map { map: Arc::new(found.collect()) })
    }
}

thread_local! {
    static FUNCTIONS: OnceCell<Context<'static>> = const { OnceCell::new() };
}

pub(super) fn with_functions<T>(run: impl FnOnce(&Context<'static>) -> T) -> T {
    FUNCTIONS.with(|functions| run(functions.get_or_init(|| Context::default().with_all())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(text: &str, object: &Value, old: &Value) -> Result<Outcome, String> {
        let names = Names::default();
        let expression = Expression::compile(text, &names, Wanted::Any)?;
        let scene = Scene::default().with("object", object).with("oldObject", old);
        let (none, variables) = (Scene::default(), Variables::default());
        Run::new([&scene, &none], &variables).evaluate(&expression).map_err(|failure| failure.to_string())
    }

    #[test]
    fn names_of_fields_are_as_they_are() {
        let object = json!({"metadata": {"namespace": "a", "labels": {"x-y": "z", "a.b/c": "d"}}, "spec": {"n": 3}});
        for text in [
            "object.metadata.namespace == 'a'",
            "object.metadata.labels['x-y'] == 'z' && object.metadata.labels['a.b/c'] == 'd'",
            "has(object.spec.n) && !has(object.spec.m) && object.spec.n > 2",
            "object.?spec.m.orValue(5) == 5 && object.spec.?n.orValue(0) == 3",
            "oldObject == null",
            "object.metadata.labels.all(key, key != 'q')",
        ] {
            assert_eq!(outcome(text, &object, &Value::Null), Ok(Outcome::Bool(true)), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_has_no_fields() {
        let object = json!({"spec": {"n": 3}});
        for (text, why) in [
            ("oldObject.spec.n == object.spec.n", "no such overload"),
            ("!has(oldObject.spec)", "no such overload"),
            ("object.spec.n.m == 1", "no such overload"),
            ("object.spec.m == 1", "no such key: m"),
        ] {
            let found = outcome(text, &object, &Value::Null);
            assert_eq!(found, Err(format!("expression '{text}' resulted in error: {why}")), "{text}");
        }
    }

    #[test]
    fn names_and_results_are_looked_at_when_it_is_compiled() {
        let compile = |text: &str, wanted| {
            let known = ["a".to_owned()];
            Expression::compile(text, &Names { params: false, variables: Some(&known) }, wanted).map(|_| ())
        };
        let failed = |why: &str| Err(format!("compilation failed: {why}"));
        assert_eq!(compile("variables.a == 1", Wanted::Bool), Ok(()));
        assert_eq!(compile("variables.b == 1", Wanted::Bool), failed("undefined field 'b'"));
        assert_eq!(compile("request.user == 'x'", Wanted::Bool), failed("undefined field 'user'"));
        assert_eq!(
            compile("params.x == 1", Wanted::Bool),
            failed("undeclared reference to 'params' (in container '')")
        );
        let access = "this server does not answer questions of access (`authorizer`) in expressions";
        assert_eq!(compile("authorizer.path('/x').check('get').allowed()", Wanted::Bool), failed(access));
        assert_eq!(compile("'x'", Wanted::Bool), Err("must evaluate to bool but got string".into()));
        assert_eq!(compile("true", Wanted::Text), Err("must evaluate to string but got bool".into()));
        assert!(compile("object.", Wanted::Bool).unwrap_err().starts_with("compilation failed: "));
    }

    #[test]
    fn variables_that_grow_are_stopped() {
        let names: Vec<String> = (0..40).map(|number| format!("v{number}")).collect();
        let mut variables = Variables::default();
        for (number, name) in names.iter().enumerate() {
            let text = match number.checked_sub(1) {
                Some(before) => format!("variables.v{before} + variables.v{before}"),
                None => "object.s".to_owned(),
            };
            let known = Names { params: false, variables: Some(&names[..number]) };
            variables.add(name.clone(), Expression::compile(&text, &known, Wanted::Any).unwrap());
        }
        let known = Names { params: false, variables: Some(&names) };
        let last = Expression::compile("variables.v39 == ''", &known, Wanted::Bool).unwrap();
        for value in [json!({"s": "0123456789abcdef"}), json!({"s": [1, 2, 3]})] {
            let (scene, none) = (Scene::default().with("object", &value), Scene::default());
            let failure = Run::new([&scene, &none], &variables).evaluate(&last).unwrap_err().to_string();
            assert!(failure.contains("too large") || failure.contains("budget"), "{failure}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_ends(parts in proptest::collection::vec(0..WORDS.len(), 1..14)) {
            let text: Vec<&str> = parts.into_iter().map(|part| WORDS[part]).collect();
            let list: Vec<Value> = (0..40).map(|number| json!({"n": number, "s": "x".repeat(number)})).collect();
            let object = json!({"a": {"b": "text", "c": list}, "l": list});
            let began = std::time::Instant::now();
            let _any = outcome(&text.concat(), &object, &Value::Null);
            proptest::prop_assert!(began.elapsed().as_secs() < 20, "{}", text.concat());
        }
    }

    const WORDS: [&str; 28] = [
        "object",
        "oldObject",
        ".a",
        ".b",
        ".c",
        ".l",
        "['b']",
        "[0]",
        ".?x",
        ".map(i, ",
        ".all(i, ",
        "i",
        ")",
        "(",
        " + ",
        " == ",
        "has(",
        "!",
        "'x'",
        "1",
        ".size()",
        " ? ",
        " : ",
        ".orValue(2)",
        ".join()",
        "request",
        "null",
        ", ",
    ];

    #[test]
    fn a_variable_that_fails_is_missed_only_where_it_is_used() {
        let names = ["bad".to_owned()];
        let bad = Expression::compile("object.spec.none", &Names::default(), Wanted::Any).unwrap();
        let mut variables = Variables::default();
        variables.add("bad".to_owned(), bad);
        let known = Names { params: false, variables: Some(&names) };
        let (scene, none) = (Scene::default().with("object", &json!({"spec": {}})), Scene::default());
        let mut run = Run::new([&scene, &none], &variables);
        let careful = Expression::compile("!has(object.spec.none) || variables.bad", &known, Wanted::Bool).unwrap();
        assert_eq!(run.evaluate(&careful), Ok(Outcome::Bool(true)));
        let careless = Expression::compile("variables.bad", &known, Wanted::Bool).unwrap();
        let why = "expression 'variables.bad' resulted in error: composited variable \"bad\" fails to evaluate: no such \
                   key: none";
        assert_eq!(run.evaluate(&careless), Err(Failure::Error(why.into())));
    }
}
