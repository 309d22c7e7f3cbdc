//! Arithmetic, bits and truth. Operands are constants or variables; nothing overflows.

use super::Converter;
use crate::args::{Arg, ArgList, Arguments, Param, parse_int};
use crate::cast;
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use crate::variable_name::VariableName;

const OPERAND: &[Param] = &[Param::Str];

const fn arithmetic(name: &'static str, convert: super::Convert, doc: &'static str) -> Converter {
    Converter::new(name, ValueType::Int, ValueType::Int, convert, doc).takes(OPERAND, 1).check(check_operand)
}

const fn unary(
    name: &'static str,
    output: ValueType,
    convert: super::Convert,
    doc: &'static str,
) -> Converter {
    Converter::new(name, ValueType::Int, output, convert, doc)
}

pub(super) const ROWS: &[Converter] = &[
    arithmetic("add", add, "Sum; stays at the limits of 64 bits."),
    arithmetic("sub", sub, "Difference; stays at the limits of 64 bits."),
    arithmetic("mul", mul, "Product; stays at the limits of 64 bits."),
    arithmetic("div", div, "Quotient; by 0 the largest number."),
    arithmetic("mod", modulo, "Remainder; by 0 it is 0."),
    arithmetic("and", and, "Bitwise and."),
    arithmetic("or", or, "Bitwise or."),
    arithmetic("xor", xor, "Bitwise exclusive or."),
    unary("neg", ValueType::Int, neg, "Opposite number."),
    unary("cpl", ValueType::Int, cpl, "All bits flipped."),
    unary("bool", ValueType::Bool, to_bool, "True unless 0."),
    unary("not", ValueType::Bool, not, "True if 0."),
    unary("odd", ValueType::Bool, odd, "True for odd numbers."),
    unary("even", ValueType::Bool, even, "True for even numbers."),
];

fn check_operand(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let text = args.text(0).unwrap_or_default();
    args[0] = match parse_int(text) {
        Some(number) => Arg::Int(number),
        None if text.is_empty() => Arg::Int(0),
        None => match VariableName::parse(text) {
            Ok(name) => Arg::Variable(name),
            Err(reason) => return Err(format!("expected an integer or a variable: {reason}")),
        },
    };
    Ok(())
}

/// The operand; a variable that is not set or no number makes the sample missing.
fn operand<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Option<i64> {
    match args.first()? {
        Arg::Variable(name) => cast::to_int(&scope.variables.get(name)?),
        _constant => args.int(0),
    }
}

fn combine<'a>(
    value: Value<'a>,
    args: &'a [Arg],
    scope: &Scope<'a>,
    operation: fn(i64, i64) -> i64,
) -> Option<Value<'a>> {
    Some(Value::Int(operation(cast::to_int(&value)?, operand(args, scope)?)))
}

fn add<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, i64::saturating_add)
}

fn sub<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, i64::saturating_sub)
}

fn mul<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, i64::saturating_mul)
}

fn div<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, |a, b| if b == 0 { i64::MAX } else { a.saturating_div(b) })
}

fn modulo<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, |a, b| a.checked_rem(b).unwrap_or(0))
}

fn and<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, |a, b| a & b)
}

fn or<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, |a, b| a | b)
}

fn xor<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    combine(value, args, scope, |a, b| a ^ b)
}

fn neg<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Int(cast::to_int(&value)?.wrapping_neg()))
}

fn cpl<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Int(!cast::to_int(&value)?))
}

fn to_bool<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Bool(cast::to_int(&value)? != 0))
}

fn not<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Bool(cast::to_int(&value)? == 0))
}

fn odd<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Bool(cast::to_int(&value)? & 1 == 1))
}

fn even<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Bool(cast::to_int(&value)? & 1 == 0))
}
