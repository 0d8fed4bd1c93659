//! Decides whether an object keeps its schema's rules (`x-kubernetes-validations`), written in CEL.
//!
//! A rule is compiled once, when its CustomResourceDefinition is admitted, and shared. Evaluation is bounded: what a
//! rule may cost is known from its text and the object's size before it runs, so no object hangs a request.
//! An object without rules costs nothing.

mod compile;
mod cost;
mod growth;
mod inspect;
pub(crate) mod request;
mod values;
mod yields;

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::objects::OptionalValue;
use kube_cel::cel::{Context, ExecutionError, IdedExpr, Value as CelValue};
use serde_json::Value;

use self::cost::{Cost, Size};
use super::node::{Node, Type};
use super::path::Path;
use super::validate::correlated;
use super::words;
use crate::error::{FieldError, FieldErrorKind};

pub(crate) use self::compile::compile;
pub(crate) use self::values::RESERVED;

/// What one evaluation of one rule may cost, in steps of roughly a tenth of a microsecond.
const RULE_BUDGET: f64 = 5_000_000.0;

/// What all rules of one object may cost together.
const OBJECT_BUDGET: f64 = 10_000_000.0;

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The rule as written.
    text: String,
    expression: IdedExpr,
    message: Option<String>,
    message_expression: Option<IdedExpr>,
    reason: FieldErrorKind,
    /// The fields from the rule's place to the one to blame.
    field_path: Vec<String>,
    /// Whether the rule speaks of `oldSelf`.
    transition: bool,
    /// Whether `oldSelf` is an optional, and the rule also runs where there is none.
    optional_old: bool,
    cost: Cost,
}

/// Everything in `new` that breaks a rule. `new` is valid otherwise.
pub(crate) fn errors(node: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    errors_at(node, new, old, &Path::Root)
}

/// The same of a value that stands in a document.
pub(crate) fn errors_at(node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) -> Vec<FieldError> {
    let mut evaluator = Evaluator { errors: Vec::new(), spent: 0.0 };
    evaluator.value(node, new, old, path);
    evaluator.errors
}

impl Rule {
    /// The rule as written, if it speaks of what was before.
    pub(crate) fn transition(&self) -> Option<&str> {
        self.transition.then_some(self.text.as_str())
    }
}

struct Evaluator {
    errors: Vec<FieldError>,
    spent: f64,
}

impl Evaluator {
    fn value(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        if !node.has_rules || new.is_null() {
            return;
        }
        // Null was no value before either.
        let old = old.filter(|old| !old.is_null());
        if !node.rules.is_empty() {
            self.rules(node, new, old, path);
        }
        match new {
            Value::Object(map) => {
                for (key, value) in map {
                    let Some(child) = node.child(key) else { continue };
                    let old = old.and_then(|old| old.get(key));
                    let declared = node.properties.contains_key(key);
                    let place = if declared { path.field(key) } else { path.key(key) };
                    self.value(child, value, old, &place);
                }
            }
            Value::Array(list) => {
                let Some(items) = node.items.as_deref() else { return };
                for (index, value) in list.iter().enumerate() {
                    self.value(items, value, correlated(node, value, old), &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn rules(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        let unchanged = old == Some(new);
        let due = |rule: &&Arc<Rule>| {
            if rule.transition { old.is_some() || rule.optional_old } else { !unchanged }
        };
        let mut due = node.rules.iter().filter(due).peekable();
        if due.peek().is_none() {
            return;
        }
        let size = Size::of(new).and(old.map(Size::of));
        let bound = values::bind(new, node);
        let bound_old = old.map(|old| values::bind(old, node));
        for rule in due {
            let cost = rule.cost.at(&size);
            self.spent += cost;
            if cost > RULE_BUDGET || self.spent > OBJECT_BUDGET {
                let detail = format!("call cost exceeds limit for rule: {}", rule.text);
                self.errors.push(words::invalid(path, &type_name(node).into(), &detail));
                return;
            }
            self.errors.extend(rule.evaluate(node, new, &bound, bound_old.as_ref(), path));
        }
    }
}

impl Rule {
    fn evaluate(
        &self,
        node: &Node,
        value: &Value,
        new: &CelValue,
        old: Option<&CelValue>,
        path: &Path<'_>,
    ) -> Option<FieldError> {
        let result = in_context(new, self.old_self(old), |context| resolve(&self.expression, context));
        match result {
            Ok(CelValue::Bool(true)) => None,
            Ok(CelValue::Bool(false)) => {
                // Of objects and lists the value is not shown.
                let shown = (!matches!(node.kind, Some(Type::Object | Type::Array))).then_some(value);
                Some(self.broken(shown, new, old, path))
            }
            Ok(_) => Some(self.failed(node, "rule did not evaluate to a boolean", path)),
            Err(cause) => Some(self.failed(node, &cause, path)),
        }
    }

    fn old_self(&self, old: Option<&CelValue>) -> Option<CelValue> {
        if !self.optional_old {
            return old.cloned();
        }
        let optional = old.map_or_else(OptionalValue::none, |old| OptionalValue::of(old.clone()));
        Some(CelValue::Opaque(Arc::new(optional)))
    }

    fn broken(&self, shown: Option<&Value>, new: &CelValue, old: Option<&CelValue>, path: &Path<'_>) -> FieldError {
        let message = self.message_expression.as_ref().and_then(|expression| {
            let result = in_context(new, self.old_self(old), |context| resolve(expression, context));
            // Upstream falls back to the static message where the expression yields nothing usable.
            match result {
                Ok(CelValue::String(text)) if !text.trim().is_empty() && !text.contains('\n') => Some(text.to_string()),
                _ => None,
            }
        });
        let message = message.unwrap_or_else(|| self.default_message());
        let mut field = path.to_string();
        for name in &self.field_path {
            if field == "<nil>" {
                field.clear();
            } else {
                field.push('.');
            }
            field.push_str(name);
        }
        match self.reason {
            FieldErrorKind::Required => words::required(field, &message),
            FieldErrorKind::Forbidden => words::forbidden(field, &message),
            // A duplicate says nothing else.
            FieldErrorKind::Duplicate => match shown {
                Some(value) => words::duplicate(field, value),
                None => FieldError { field, kind: FieldErrorKind::Duplicate, message: "Duplicate value".to_owned() },
            },
            _ => match shown {
                Some(value) => words::invalid(field, value, &message),
                None => words::invalid_omitted(field, &message),
            },
        }
    }

    fn failed(&self, node: &Node, cause: &str, path: &Path<'_>) -> FieldError {
        let detail = format!("{cause} evaluating rule: {}", self.default_message());
        words::invalid(path, &type_name(node).into(), &detail)
    }

    fn default_message(&self) -> String {
        self.message.clone().unwrap_or_else(|| format!("failed rule: {}", self.text))
    }
}

fn type_name(node: &Node) -> &'static str {
    node.kind.map_or("object", Type::name)
}

thread_local! {
    /// All functions, registered once a thread: an evaluation only adds its variables.
    static FUNCTIONS: OnceCell<Context<'static>> = const { OnceCell::new() };
}

/// Runs something with the CEL functions and the rule's variables.
fn in_context<T>(new: &CelValue, old: Option<CelValue>, run: impl FnOnce(&Context<'_>) -> T) -> T {
    with_functions(|functions| {
        let mut context = functions.new_inner_scope();
        context.add_variable_from_value("self", new.clone());
        if let Some(old) = old {
            context.add_variable_from_value("oldSelf", old);
        }
        run(&context)
    })
}

fn with_functions<T>(run: impl FnOnce(&Context<'static>) -> T) -> T {
    FUNCTIONS.with(|functions| run(functions.get_or_init(|| Context::default().with_all())))
}

/// Evaluates; the error says why not.
fn resolve(expression: &IdedExpr, context: &Context<'_>) -> Result<CelValue, String> {
    resolve_raw(expression, context)
        .map_err(|error| error.map_or_else(|| "the expression could not be evaluated".to_owned(), |e| explained(&e)))
}

/// Evaluates. The interpreter panics on a few odd expressions; a user's rule must not take a request thread with it, and
/// fails without a reason.
fn resolve_raw(expression: &IdedExpr, context: &Context<'_>) -> Result<CelValue, Option<ExecutionError>> {
    match catch_unwind(AssertUnwindSafe(|| CelValue::resolve(expression, context))) {
        Ok(result) => result.map_err(Some),
        Err(_) => Err(None),
    }
}

fn explained(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::NoSuchOverload => "no such overload".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        // The others print whole values in the interpreter's own notation.
        _ => "no such overload".to_owned(),
    }
}

#[cfg(test)]
mod tests;
