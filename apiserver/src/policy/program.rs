//! The expressions of a policy, compiled, and what they say of a request.

use serde::Deserialize;
use serde_json::Value;

use crate::error::Reason;
use crate::schema::cel::request::{Expression, Failure, Names, Outcome, Run, Scene, Variables, Wanted};

/// The expressions as they are stored.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Source {
    match_conditions: Option<Vec<Named>>,
    variables: Option<Vec<Named>>,
    validations: Option<Vec<Validation>>,
    audit_annotations: Option<Vec<Annotation>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
    expression: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Validation {
    expression: String,
    message: String,
    message_expression: String,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Annotation {
    value_expression: String,
}

type Compiled = Result<Expression, String>;

/// The expressions, compiled.
pub(super) struct Program {
    conditions: Vec<Compiled>,
    variables: Variables,
    validations: Vec<Rule>,
    annotations: Vec<Compiled>,
}

struct Rule {
    expression: Compiled,
    message: String,
    message_expression: Option<Expression>,
    reason: Reason,
}

/// A rule that a request breaks, or that can't be judged.
pub(super) struct Decision {
    pub(super) is_error: bool,
    /// Whether it counts whatever the binding says.
    pub(super) always_denies: bool,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Decision {
    pub(super) fn error(message: String) -> Self {
        Self { is_error: true, always_denies: false, reason: Reason::Invalid, message }
    }
}

/// What comes of judging a request.
#[derive(Default)]
pub(super) struct Judgement {
    pub(super) decisions: Vec<Decision>,
    pub(super) spent: f64,
}

impl Program {
    pub(super) fn new(source: &Source, has_params: bool) -> Self {
        let names = Names { params: has_params, variables: None };
        let conditions = source.match_conditions.iter().flatten();
        let conditions = conditions.map(|named| compiled(named.expression.trim(), &names, Wanted::Bool)).collect();
        let mut known: Vec<String> = Vec::new();
        let mut variables = Variables::default();
        for Named { name, expression } in source.variables.iter().flatten() {
            let names = Names { variables: Some(&known), ..names };
            if let Ok(expression) = Expression::compile(expression, &names, Wanted::Any) {
                variables.add(name.clone(), expression);
                known.push(name.clone());
            }
        }
        let names = Names { variables: (!known.is_empty()).then_some(&known), ..names };
        let rule = |validation: &Validation| Rule {
            expression: compiled(&validation.expression, &names, Wanted::Bool),
            message: validation.message.trim().to_owned(),
            message_expression: Expression::compile(&validation.message_expression, &names, Wanted::Text)
                .ok()
                .filter(|_| !validation.message_expression.trim().is_empty()),
            reason: match validation.reason.as_deref() {
                Some("Forbidden") => Reason::Forbidden,
                Some("RequestEntityTooLarge") => Reason::RequestEntityTooLarge,
                _ => Reason::Invalid,
            },
        };
        let annotations = source.audit_annotations.iter().flatten();
        Self {
            conditions,
            validations: source.validations.iter().flatten().map(rule).collect(),
            annotations: annotations
                .map(|annotation| compiled(annotation.value_expression.trim(), &names, Wanted::TextOrNull))
                .collect(),
            variables,
        }
    }

    /// What the policy says of a request, with a parameter where there is one.
    pub(super) fn judge(&self, scene: &Scene, param: Option<&Value>, left: f64) -> Judgement {
        if left <= 0.0 {
            return Judgement { decisions: vec![Decision::error(Failure::Budget.to_string())], spent: 0.0 };
        }
        let params = Scene::default().with("params", param.unwrap_or(&Value::Null));
        let mut run = Run::new([scene, &params], &self.variables);
        let decisions = match self.is_meant(&mut run) {
            Ok(true) => self.decisions(&mut run),
            Ok(false) => Vec::new(),
            Err(why) => vec![Decision::error(why)],
        };
        Judgement { decisions, spent: run.spent() }
    }

    /// Whether the conditions let the policy have a word. One that is false wins over one that fails.
    fn is_meant(&self, run: &mut Run<'_>) -> Result<bool, String> {
        let mut errors = Vec::new();
        for condition in &self.conditions {
            match evaluated(condition, run) {
                Ok(Outcome::Bool(true)) => {}
                Ok(Outcome::Bool(false)) => return Ok(false),
                Ok(_) => {}
                Err(failure) => errors.push(failure.to_string()),
            }
        }
        match errors.len() {
            0 => Ok(true),
            1 => Err(errors.remove(0)),
            _ => Err(format!("[{}]", errors.join(", "))),
        }
    }

    fn decisions(&self, run: &mut Run<'_>) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for rule in &self.validations {
            match evaluated(&rule.expression, run) {
                Ok(Outcome::Bool(true)) => {}
                Ok(_) => decisions.push(rule.broken(run)),
                Err(Failure::Budget) => return vec![Decision::error(Failure::Budget.to_string())],
                Err(failure) => decisions.push(Decision::error(failure.to_string())),
            }
        }
        for annotation in &self.annotations {
            match evaluated(annotation, run) {
                Ok(Outcome::Text(_) | Outcome::Null) => {}
                Ok(_) => {
                    let text = annotation.as_ref().map_or("", Expression::text);
                    decisions.push(unannotated(format!(
                        "valueExpression '{text}' resulted in unsupported return type. Return type must be either string or \
                         null."
                    )));
                }
                Err(failure) => decisions.push(unannotated(failure.to_string())),
            }
        }
        decisions
    }
}

impl Rule {
    fn broken(&self, run: &mut Run<'_>) -> Decision {
        let message = match &self.message_expression {
            Some(expression) => match run.message(expression) {
                Ok(message) => message,
                Err(failure) => return Decision::error(format!("failed messageExpression: {failure}")),
            },
            None => None,
        };
        let own = Some(self.message.clone()).filter(|message| !message.is_empty());
        let text = self.expression.as_ref().map_or("", Expression::text);
        let message = message.or(own).unwrap_or_else(|| format!("failed expression: {text}"));
        Decision { is_error: false, always_denies: false, reason: self.reason, message }
    }
}

/// An annotation that can't be made.
fn unannotated(message: String) -> Decision {
    Decision { always_denies: true, ..Decision::error(message) }
}

fn compiled(text: &str, names: &Names<'_>, wanted: Wanted) -> Compiled {
    Expression::compile(text, names, wanted).map_err(|why| format!("compilation error: {why}"))
}

fn evaluated(expression: &Compiled, run: &mut Run<'_>) -> Result<Outcome, Failure> {
    match expression {
        Ok(expression) => run.evaluate(expression),
        Err(why) => Err(Failure::Error(why.clone())),
    }
}
