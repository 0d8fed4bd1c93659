//! Decides what an expression certainly yields, as far as its outermost part tells without an object: a rule that can
//! never be true or false is refused with its definition.

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{Expr, LiteralValue, operators};

use super::super::node::{Node, Type};

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Yield {
    Bool,
    Text,
    /// A number, a list, a map, nothing.
    Other,
    /// A text, a number or a list, depending on the object.
    NotBool,
    Unknown,
}

impl Yield {
    pub(super) fn may_be_bool(self) -> bool {
        matches!(self, Self::Bool | Self::Unknown)
    }

    pub(super) fn may_be_text(self) -> bool {
        matches!(self, Self::Text | Self::NotBool | Self::Unknown)
    }
}

/// What an expression over values of this schema yields.
pub(super) fn of(expression: &IdedExpr, node: &Node) -> Yield {
    match &expression.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => Yield::Bool,
        Expr::Literal(LiteralValue::String(_)) => Yield::Text,
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) => Yield::Other,
        Expr::Select(select) if select.test => Yield::Bool,
        Expr::Ident(_) | Expr::Select(_) => place(expression, node).map_or(Yield::Unknown, of_node),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [_, yes, no]) => match (of(yes, node), of(no, node)) {
                (yes, no) if yes == no => yes,
                _ => Yield::Unknown,
            },
            (operators::ADD, [first, _]) => match of(first, node) {
                Yield::Text => Yield::Text,
                Yield::Other => Yield::Other,
                _ => Yield::NotBool,
            },
            (
                operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO | operators::NEGATE,
                _,
            ) => Yield::Other,
            ("size", _) => Yield::Other,
            ("string", [_]) if call.target.is_none() => Yield::Text,
            (
                operators::LOGICAL_AND
                | operators::LOGICAL_OR
                | operators::LOGICAL_NOT
                | operators::EQUALS
                | operators::NOT_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS
                | operators::IN,
                _,
            ) => Yield::Bool,
            _ => Yield::Unknown,
        },
        Expr::Comprehension(_) | Expr::Struct(_) | Expr::Unspecified => Yield::Unknown,
    }
}

/// The schema of `self`, or of a field of it.
fn place<'a>(expression: &IdedExpr, node: &'a Node) -> Option<&'a Node> {
    match &expression.expr {
        Expr::Ident(name) if name == "self" => Some(node),
        Expr::Select(select) => place(&select.operand, node)?.properties.get(&select.field),
        _ => None,
    }
}

fn of_node(node: &Node) -> Yield {
    match node.kind {
        _ if node.int_or_string => Yield::NotBool,
        Some(Type::Boolean) => Yield::Bool,
        // A text with a format may be a time or bytes.
        Some(Type::String) => Yield::NotBool,
        Some(_) => Yield::Other,
        None => Yield::Unknown,
    }
}
