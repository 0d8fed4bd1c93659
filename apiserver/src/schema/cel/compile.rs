//! Decides whether a rule is one: fields of the rule itself, syntax, and what can be known about it without an object.

use std::sync::Arc;

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{EntryExpr, Expr, operators};
use kube_cel::cel::parser::Parser;
use serde_json::{Map, Value};

use super::super::words;
use super::inspect::{self, Findings, Scope};
use super::{FieldError, FieldErrorKind, Node, Path, Rule, yields};

/// Long enough for every rule seen in the wild (the longest is a tenth), short enough to bound the parser.
const MAX_TEXT: usize = 8 * 1024;

const LINE_BREAKS: [char; 2] = ['\n', '\r'];

/// How deep brackets and conditionals may nest.
const MAX_NESTING: usize = 64;

/// The parser recurses a dozen functions a level; request threads have 2 MiB.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// Compiles one entry of `x-kubernetes-validations`. `node` is the schema that it stands in, with its children.
pub(crate) fn compile(rule: &Value, node: &Node, path: &Path<'_>) -> Result<Arc<Rule>, FieldError> {
    let Some(rule) = rule.as_object() else { return Err(words::invalid(path, rule, "must be an object")) };
    let text = text(rule, "rule", path)?.map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(words::required(path.field("rule"), "rule is not specified"));
    }
    let message = text_of_message(rule, text, path)?;
    let optional_old = rule.get("optionalOldSelf") == Some(&Value::Bool(true));
    let (expression, findings) = parse(text, node, &path.field("rule"))?;
    if !yields::of(&expression, node).may_be_bool() {
        return Err(words::invalid(path.field("rule"), &text.into(), "cel expression must evaluate to a bool"));
    }
    if let Some(option) = rule.get("optionalOldSelf").filter(|option| !option.is_null() && !findings.old_self) {
        let detail = "may not be set if oldSelf is not used in rule";
        return Err(words::invalid(path.field("optionalOldSelf"), option, detail));
    }
    let mut cost = findings.cost;
    let message_expression = match self::text(rule, "messageExpression", path)?.map(str::trim) {
        None => None,
        Some("") if rule["messageExpression"] == "" => None,
        Some("") => {
            let detail = "messageExpression must be non-empty if specified";
            return Err(words::required(path.field("messageExpression"), detail));
        }
        Some(text) => {
            let place = path.field("messageExpression");
            let (expression, findings) = parse(text, node, &place)?;
            if !yields::of(&expression, node).may_be_text() {
                return Err(words::invalid(place, &text.into(), "messageExpression must evaluate to a string"));
            }
            cost = cost.plus(findings.cost);
            Some(expression)
        }
    };
    Ok(Arc::new(Rule {
        text: text.to_owned(),
        expression,
        message,
        message_expression,
        reason: reason(rule, path)?,
        field_path: field_path(rule, node, path)?,
        transition: findings.old_self,
        optional_old,
        cost,
    }))
}

fn text<'a>(rule: &'a Map<String, Value>, key: &str, path: &Path<'_>) -> Result<Option<&'a str>, FieldError> {
    match rule.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(words::invalid(path.field(key), other, "must be a string")),
    }
}

fn text_of_message(rule: &Map<String, Value>, text: &str, path: &Path<'_>) -> Result<Option<String>, FieldError> {
    let place = path.field("message");
    let given = self::text(rule, "message", path)?.unwrap_or_default();
    match given.trim() {
        "" if !given.is_empty() => Err(words::invalid(place, &given.into(), "must be non-empty if specified")),
        "" if text.contains(LINE_BREAKS) => {
            Err(words::required(place, "message must be specified if rule contains line breaks"))
        }
        "" => Ok(None),
        message if message.contains(LINE_BREAKS) => {
            Err(words::invalid(place, &given.into(), "must not contain line breaks"))
        }
        message => Ok(Some(message.to_owned())),
    }
}

fn reason(rule: &Map<String, Value>, path: &Path<'_>) -> Result<FieldErrorKind, FieldError> {
    const KNOWN: [FieldErrorKind; 4] =
        [FieldErrorKind::Duplicate, FieldErrorKind::Forbidden, FieldErrorKind::Invalid, FieldErrorKind::Required];
    let Some(reason) = text(rule, "reason", path)? else { return Ok(FieldErrorKind::Invalid) };
    KNOWN
        .into_iter()
        .find(|kind| kind.reason() == reason)
        .ok_or_else(|| words::not_supported(path.field("reason"), &reason.into(), &KNOWN.map(FieldErrorKind::reason)))
}

/// `.spec.name` or `['a.b']`; it must lead to a declared field.
fn field_path(rule: &Map<String, Value>, node: &Node, path: &Path<'_>) -> Result<Vec<String>, FieldError> {
    let text = text(rule, "fieldPath", path)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |detail: &str| words::invalid(path.field("fieldPath"), &text.into(), detail);
    if text.trim().is_empty() {
        return Err(wrong("must be non-empty if specified"));
    }
    if text.contains(LINE_BREAKS) {
        return Err(wrong("must not contain line breaks"));
    }
    let mut steps = Vec::new();
    let mut node = node;
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = if let Some(bracket) = rest.strip_prefix("['") {
            bracket.split_once("']").ok_or_else(|| wrong("must be a valid path"))?
        } else if let Some(dotted) = rest.strip_prefix('.') {
            dotted.split_at(dotted.find(['.', '[']).unwrap_or(dotted.len()))
        } else {
            return Err(wrong("must be a valid path"));
        };
        let Some(child) = node.child(name) else { return Err(wrong("must be a valid path")) };
        node = child;
        steps.push(name.to_owned());
        rest = after;
    }
    Ok(steps)
}

fn parse(text: &str, node: &Node, path: &Path<'_>) -> Result<(IdedExpr, Findings), FieldError> {
    parsed(text, &Scope::Rule(node))
        .map_err(|detail| words::invalid(path, &text.into(), &format!("compilation failed: {detail}")))
}

/// Parses an expression and looks at what it names; the error says what is wrong with it.
pub(super) fn parsed(text: &str, scope: &Scope<'_>) -> Result<(IdedExpr, Findings), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("an expression must not be longer than {MAX_TEXT} bytes"));
    }
    if nesting(text) > MAX_NESTING {
        return Err(format!("an expression must not nest deeper than {MAX_NESTING} levels"));
    }
    let work = || {
        let mut parsed =
            Parser::new().enable_optional_syntax(true).parse(text).map_err(|error| one_line(&error.to_string()))?;
        rewrite(&mut parsed);
        let findings = scope.with_functions(|functions| inspect::inspect(&parsed, scope, functions))?;
        Ok((parsed, findings))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(_)) => Err("the expression cannot be parsed".to_owned()),
            Err(error) => Err(format!("no thread to compile it on: {error}")),
        }
    })
}

/// Writes `a.?b` as `a[?'b']`: the interpreter fails on the first where there is no `b`, and does the second right.
fn rewrite(expression: &mut IdedExpr) {
    if let Expr::Call(call) = &mut expression.expr
        && call.func_name == operators::OPT_SELECT
    {
        operators::OPT_INDEX.clone_into(&mut call.func_name);
    }
    parts(expression).into_iter().for_each(rewrite);
}

/// The expressions that one is made of.
pub(super) fn parts(expression: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut expression.expr {
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::Comprehension(loop_) => vec![
            &mut loop_.iter_range,
            &mut loop_.accu_init,
            &mut loop_.loop_cond,
            &mut loop_.loop_step,
            &mut loop_.result,
        ],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .filter_map(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => Some([&mut entry.key, &mut entry.value]),
                EntryExpr::StructField(_) => None,
            })
            .flatten()
            .collect(),
        Expr::Select(select) => vec![&mut select.operand],
        Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

/// The first line of the parser's report; the rest draws the place, which an API message has no room for.
fn one_line(report: &str) -> String {
    report.lines().next().unwrap_or_default().to_owned()
}

/// How deep brackets nest, with conditionals counted as if all of them nested. Brackets in strings count too: the
/// limit is generous.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest + text.matches(" ? ").count()
}
