//! Functions on numbers.

use super::{Builtin, Machinery, Type, Value, plain, ruled};
use crate::expr::nature::Nature;
use crate::expr::ops;

const I: Type = Type::Int;

pub(super) static TABLE: &[Builtin] = &[
    ruled(
        "abs",
        |n| number_rule("abs", n, None),
        |a, _| match &a[0] {
            Value::Int(int) => Ok(Value::Int(int.wrapping_abs())),
            Value::Float(float) => Ok(Value::Float(float.abs())),
            other => Err(format!("invalid argument for abs (type {})", other.type_name())),
        },
    ),
    ruled("ceil", |n| number_rule("ceil", n, Some(Nature::Float)), |a, _| rounded("ceil", &a[0], f64::ceil)),
    ruled("floor", |n| number_rule("floor", n, Some(Nature::Float)), |a, _| rounded("floor", &a[0], f64::floor)),
    ruled("round", |n| number_rule("round", n, Some(Nature::Float)), |a, _| rounded("round", &a[0], f64::round)),
    ruled("int", |n| conversion_rule("int", n, Nature::Int), int),
    ruled("float", |n| conversion_rule("float", n, Nature::Float), float),
    ruled("max", |n| aggregate_rule("max", n), |a, m| extreme("max", a, m, std::cmp::Ordering::is_lt, true)),
    ruled("min", |n| aggregate_rule("min", n), |a, m| extreme("min", a, m, std::cmp::Ordering::is_gt, true)),
    ruled(
        "mean",
        |n| aggregate_rule("mean", n),
        |a, m| {
            let mut numbers = Vec::new();
            collect("mean", a, m, &mut numbers)?;
            #[allow(clippy::cast_precision_loss)]
            let count = numbers.len() as f64;
            Ok(Value::Float(if numbers.is_empty() { 0.0 } else { numbers.iter().sum::<f64>() / count }))
        },
    ),
    ruled(
        "median",
        |n| aggregate_rule("median", n),
        |a, m| {
            let mut numbers = Vec::new();
            collect("median", a, m, &mut numbers)?;
            numbers.sort_by(f64::total_cmp);
            let middle = numbers.len() / 2;
            Ok(Value::Float(match numbers.len() {
                0 => 0.0,
                length if length % 2 == 1 => numbers[middle],
                _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
            }))
        },
    ),
    plain("bitand", &[&[I, I]], I, |a, _| bits("bitand", a, |x, y| Ok(x & y))),
    plain("bitor", &[&[I, I]], I, |a, _| bits("bitor", a, |x, y| Ok(x | y))),
    plain("bitxor", &[&[I, I]], I, |a, _| bits("bitxor", a, |x, y| Ok(x ^ y))),
    plain("bitnand", &[&[I, I]], I, |a, _| bits("bitnand", a, |x, y| Ok(x & !y))),
    plain("bitshl", &[&[I, I]], I, |a, _| bits("bitshl", a, |x, y| Ok(shift(y)?.map_or(0, |y| x << y)))),
    plain("bitshr", &[&[I, I]], I, |a, _| bits("bitshr", a, |x, y| Ok(x >> shift(y)?.unwrap_or(63)))),
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap)]
    plain("bitushr", &[&[I, I]], I, |a, _| bits("bitushr", a, |x, y| Ok(shift(y)?.map_or(0, |y| ((x as u64) >> y) as i64)))),
    plain("bitnot", &[&[I]], I, |a, _| bits("bitnot", &[a[0].clone(), Value::Int(0)], |x, _| Ok(!x))),
];

/// How far to shift; None: everything falls out.
fn shift(count: i64) -> Result<Option<u32>, String> {
    if count < 0 {
        return Err(format!("invalid operation: negative shift count {count} (type int)"));
    }
    Ok(u32::try_from(count).ok().filter(|count| *count < 64))
}

fn bits(name: &str, arguments: &[Value], apply: fn(i64, i64) -> Result<i64, String>) -> Result<Value, String> {
    let int = |value: &Value| match value {
        Value::Int(int) => Ok(*int),
        other => Err(format!("cannot use {} as argument (type int) to call `{name}`; use `int()`", other.type_name())),
    };
    apply(int(&arguments[0])?, int(&arguments[1])?).map(Value::Int)
}

fn number_rule(name: &str, natures: &[Nature], result: Option<Nature>) -> Result<Nature, String> {
    super::count(natures, 1)?;
    let nature = &natures[0];
    if nature.is_number() || nature.is_unknown() || matches!(nature, Nature::Month | Nature::Weekday | Nature::Duration) {
        Ok(result.unwrap_or_else(|| nature.clone()))
    } else {
        Err(format!("invalid argument for {name} (type {nature})"))
    }
}

fn conversion_rule(name: &str, natures: &[Nature], result: Nature) -> Result<Nature, String> {
    number_rule(name, natures, Some(result.clone())).or_else(|message| match natures {
        [nature] if nature.is_text() => Ok(result),
        _ => Err(message),
    })
}

fn aggregate_rule(name: &str, natures: &[Nature]) -> Result<Nature, String> {
    if natures.is_empty() {
        return Err(format!("not enough arguments to call `{name}`"));
    }
    for nature in natures {
        if nature.is_unknown() || nature.is_list() {
            return Ok(Nature::Unknown);
        }
        if !nature.is_number() && !matches!(nature, Nature::Duration) {
            return Err(format!("invalid argument for {name} (type {nature})"));
        }
    }
    Ok(natures[0].clone())
}

fn rounded(name: &str, value: &Value, apply: fn(f64) -> f64) -> Result<Value, String> {
    match value {
        #[allow(clippy::cast_precision_loss)]
        Value::Int(int) => Ok(Value::Float(*int as f64)),
        Value::Float(float) => Ok(Value::Float(apply(*float))),
        other => Err(format!("invalid argument for {name} (type {})", other.type_name())),
    }
}

fn int(arguments: &[Value], _: &mut Machinery<'_>) -> Result<Value, String> {
    match &arguments[0] {
        Value::Month(small) | Value::Weekday(small) => Ok(Value::Int((*small).into())),
        Value::Duration(nanos) => Ok(Value::Int(*nanos)),
        value => {
            if let Some(text) = value.as_text() {
                let digits = text.strip_prefix('+').filter(|rest| !rest.starts_with(['+', '-'])).unwrap_or(text);
                return digits.parse().map(Value::Int).map_err(|_| format!("invalid operation: int({text}): the text is no integer"));
            }
            value.as_integer().map(Value::Int).ok_or_else(|| format!("invalid operation: int({})", value.type_name()))
        }
    }
}

fn float(arguments: &[Value], _: &mut Machinery<'_>) -> Result<Value, String> {
    match &arguments[0] {
        #[allow(clippy::cast_precision_loss)]
        Value::Int(int) => Ok(Value::Float(*int as f64)),
        Value::Float(float) => Ok(Value::Float(*float)),
        value => match value.as_text() {
            Some(text) => crate::expr::coerce::go_float(text)
                .map(Value::Float)
                .ok_or_else(|| format!("invalid operation: float({text}): the text is no number")),
            None => Err(format!("invalid operation: float({})", value.type_name())),
        },
    }
}

/// `max` and `min`: the largest or smallest number among the arguments and the elements of lists.
fn extreme(
    name: &str,
    arguments: &[Value],
    machinery: &mut Machinery<'_>,
    replaces: fn(std::cmp::Ordering) -> bool,
    top: bool,
) -> Result<Value, String> {
    let mut best = Value::Nil;
    for argument in arguments {
        machinery.budget.spend(1)?;
        let candidate = match argument {
            Value::Int(_) | Value::Float(_) | Value::Duration(_) => argument.clone(),
            // the extreme of one thing is that thing, as in expr-lang
            other if arguments.len() == 1 && top && !matches!(other, Value::List(_)) => return Ok(other.clone()),
            Value::List(list) => extreme(name, &list.items, machinery, replaces, false)?,
            other => return Err(format!("invalid argument for {name} (type {})", other.type_name())),
        };
        if best.is_nil() || (!candidate.is_nil() && ops::order("<", &best, &candidate)?.is_some_and(replaces)) {
            best = candidate;
        }
    }
    Ok(best)
}

fn collect(name: &str, arguments: &[Value], machinery: &mut Machinery<'_>, numbers: &mut Vec<f64>) -> Result<(), String> {
    for argument in arguments {
        machinery.budget.spend(1)?;
        match argument {
            #[allow(clippy::cast_precision_loss)]
            Value::Int(int) | Value::Duration(int) => numbers.push(*int as f64),
            Value::Float(float) => numbers.push(*float),
            Value::List(list) => collect(name, &list.items, machinery, numbers)?,
            other => return Err(format!("invalid argument for {name} (type {})", other.type_name())),
        }
    }
    Ok(())
}
