//! Methods of the host's objects: times, durations, months, weekdays, zones, versions.

use std::sync::Arc;

use super::functions::Function;
use super::functions::semver::Version;
use super::gotime::{Time, Zone, month_name, weekday_name, weekday_of};
use super::nature::{Nature, Type};
use super::value::Value;

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Type],
    pub(super) result: Type,
    run: fn(&Value, &[Value]) -> Result<Value, String>,
}

const fn method(name: &'static str, parameters: &'static [Type], result: Type, run: fn(&Value, &[Value]) -> Result<Value, String>) -> Method {
    Method { name, parameters, result, run }
}

fn time(value: &Value) -> Result<&Time, String> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(format!("expected a time, got {}", other.type_name())),
    }
}

fn nanos(value: &Value) -> Result<i64, String> {
    match value {
        Value::Duration(nanos) => Ok(*nanos),
        other => Err(format!("expected a duration such as `duration('1h')`, got {}", other.type_name())),
    }
}

fn int(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(int) => Ok(*int),
        other => Err(format!("expected an integer, got {}; use `int()`", other.type_name())),
    }
}

fn text(value: &Value) -> Result<&Arc<str>, String> {
    value.as_text().ok_or_else(|| format!("expected text, got {}", value.type_name()))
}

fn version(value: &Value) -> Result<&Version, String> {
    match value {
        Value::Version(version) => Ok(version),
        other => Err(format!("expected a version from `semverParse()`, got {}", other.type_name())),
    }
}

fn versioned(version: Version) -> Value {
    Value::Version(Arc::new(version))
}

#[allow(clippy::cast_precision_loss)]
fn float(nanos: i64, unit: i64) -> Value {
    // whole part and rest apart, as Go does, so that no digit is lost
    Value::Float((nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64)
}

/// Whole units since 1970, rounded down.
fn since_epoch(value: &Value, unit: i128) -> Result<i64, String> {
    let units = time(value)?.timestamp().as_nanosecond().div_euclid(unit);
    i64::try_from(units).map_err(|_| "the time is out of range".into())
}

/// `Truncate` and `Round` of a duration.
fn rounded(nanos: i64, unit: i64, half_up: bool) -> i64 {
    if unit <= 0 {
        return nanos;
    }
    let rest = nanos % unit;
    let down = nanos - rest;
    if half_up && rest.unsigned_abs() >= (unit.unsigned_abs() - rest.unsigned_abs()) {
        down.saturating_add(if nanos < 0 { -unit } else { unit })
    } else {
        down
    }
}

/// `Truncate` and `Round` of a time, counted from the zero time as in Go.
fn time_rounded(time: &Time, unit: i64, half_up: bool) -> Result<Time, String> {
    if unit <= 0 {
        return Ok(time.clone());
    }
    let zero = Time::zero().timestamp().as_nanosecond();
    let rest = (time.timestamp().as_nanosecond() - zero).rem_euclid(i128::from(unit));
    let rest = i64::try_from(rest).unwrap_or_default();
    time.add_nanos(if half_up && rest >= unit - rest { unit - rest } else { -rest })
}

static TIME: &[Method] = &[
    method("Year", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().year().into()))),
    method("Month", &[], Type::Month, |v, _| Ok(Value::Month(time(v)?.zoned().month()))),
    method("Day", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().day().into()))),
    method("Hour", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().hour().into()))),
    method("Minute", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().minute().into()))),
    method("Second", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().second().into()))),
    method("Nanosecond", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().subsec_nanosecond().into()))),
    method("YearDay", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().day_of_year().into()))),
    method("Weekday", &[], Type::Weekday, |v, _| Ok(Value::Weekday(weekday_of(time(v)?.zoned())))),
    // Go gives year and week; an expression gets the first of several results
    method("ISOWeek", &[], Type::Int, |v, _| Ok(Value::Int(time(v)?.zoned().date().iso_week_date().year().into()))),
    method("Date", &[], Type::Several, |_, _| Err("it returns more than one value; use `Year()`, `Month()`, `Day()`".into())),
    method("Clock", &[], Type::Several, |_, _| Err("it returns more than one value; use `Hour()`, `Minute()`, `Second()`".into())),
    method("Unix", &[], Type::Int, |v, _| Ok(Value::Int(since_epoch(v, 1_000_000_000)?))),
    method("UnixMilli", &[], Type::Int, |v, _| Ok(Value::Int(since_epoch(v, 1_000_000)?))),
    method("UnixMicro", &[], Type::Int, |v, _| Ok(Value::Int(since_epoch(v, 1_000)?))),
    method("UnixNano", &[], Type::Int, |v, _| Ok(Value::Int(since_epoch(v, 1)?))),
    method("IsZero", &[], Type::Bool, |v, _| Ok(Value::Bool(*time(v)? == Time::zero()))),
    method("Before", &[Type::Time], Type::Bool, |v, a| Ok(Value::Bool(time(v)?.timestamp() < time(&a[0])?.timestamp()))),
    method("After", &[Type::Time], Type::Bool, |v, a| Ok(Value::Bool(time(v)?.timestamp() > time(&a[0])?.timestamp()))),
    method("Equal", &[Type::Time], Type::Bool, |v, a| Ok(Value::Bool(time(v)?.timestamp() == time(&a[0])?.timestamp()))),
    method("Compare", &[Type::Time], Type::Int, |v, a| Ok(Value::Int(time(v)?.timestamp().cmp(&time(&a[0])?.timestamp()) as i64))),
    method("Sub", &[Type::Time], Type::Duration, |v, a| Ok(Value::Duration(time(v)?.since(time(&a[0])?)))),
    method("Add", &[Type::Duration], Type::Time, |v, a| time(v)?.add_nanos(nanos(&a[0])?).map(Value::Time)),
    method("AddDate", &[Type::Int, Type::Int, Type::Int], Type::Time, |v, a| {
        time(v)?.add_date(int(&a[0])?, int(&a[1])?, int(&a[2])?).map(Value::Time)
    }),
    method("Truncate", &[Type::Duration], Type::Time, |v, a| time_rounded(time(v)?, nanos(&a[0])?, false).map(Value::Time)),
    method("Round", &[Type::Duration], Type::Time, |v, a| time_rounded(time(v)?, nanos(&a[0])?, true).map(Value::Time)),
    method("UTC", &[], Type::Time, |v, _| Ok(Value::Time(time(v)?.in_zone(&Zone::utc())))),
    method("Local", &[], Type::Time, |v, _| Ok(Value::Time(time(v)?.in_zone(&Zone::utc())))),
    method("In", &[Type::Zone], Type::Time, |v, a| match &a[0] {
        Value::Zone(zone) => Ok(Value::Time(time(v)?.in_zone(zone))),
        other => Err(format!("expected a zone from `timezone()`, got {}", other.type_name())),
    }),
    // Go gives name and offset
    method("Zone", &[], Type::Text, |v, _| Ok(Value::text(time(v)?.format("MST")))),
    method("Format", &[Type::Text], Type::Text, |v, a| {
        let layout = text(&a[0])?;
        if layout.len() > 10_000 {
            return Err("the layout is too long".into());
        }
        Ok(Value::text(time(v)?.format(layout)))
    }),
    method("String", &[], Type::Text, |v, _| Ok(Value::text(time(v)?.go_string()))),
];

static DURATION: &[Method] = &[
    method("Hours", &[], Type::Float, |v, _| Ok(float(nanos(v)?, 3_600_000_000_000))),
    method("Minutes", &[], Type::Float, |v, _| Ok(float(nanos(v)?, 60_000_000_000))),
    method("Seconds", &[], Type::Float, |v, _| Ok(float(nanos(v)?, 1_000_000_000))),
    method("Milliseconds", &[], Type::Int, |v, _| Ok(Value::Int(nanos(v)? / 1_000_000))),
    method("Microseconds", &[], Type::Int, |v, _| Ok(Value::Int(nanos(v)? / 1_000))),
    method("Nanoseconds", &[], Type::Int, |v, _| Ok(Value::Int(nanos(v)?))),
    method("String", &[], Type::Text, |v, _| Ok(Value::text(super::format::go_duration(nanos(v)?)))),
    method("Abs", &[], Type::Duration, |v, _| Ok(Value::Duration(nanos(v)?.saturating_abs()))),
    method("Round", &[Type::Duration], Type::Duration, |v, a| Ok(Value::Duration(rounded(nanos(v)?, nanos(&a[0])?, true)))),
    method("Truncate", &[Type::Duration], Type::Duration, |v, a| Ok(Value::Duration(rounded(nanos(v)?, nanos(&a[0])?, false)))),
];

static MONTH: &[Method] = &[method("String", &[], Type::Text, |v, _| match v {
    Value::Month(month) => Ok(month_name(*month).into()),
    other => Err(format!("expected a month, got {}", other.type_name())),
})];

static WEEKDAY: &[Method] = &[method("String", &[], Type::Text, |v, _| match v {
    Value::Weekday(day) => Ok(weekday_name(*day).into()),
    other => Err(format!("expected a weekday, got {}", other.type_name())),
})];

static ZONE: &[Method] = &[method("String", &[], Type::Text, |v, _| match v {
    Value::Zone(zone) => Ok(zone.name().into()),
    other => Err(format!("expected a zone, got {}", other.type_name())),
})];

static VERSION_COPY: &[Method] = &[
    method("Major", &[], Type::Int, |v, _| Ok(version(v)?.major().into())),
    method("Minor", &[], Type::Int, |v, _| Ok(version(v)?.minor().into())),
    method("Patch", &[], Type::Int, |v, _| Ok(version(v)?.patch().into())),
    method("Prerelease", &[], Type::Text, |v, _| Ok(version(v)?.prerelease().into())),
    method("Metadata", &[], Type::Text, |v, _| Ok(version(v)?.metadata().into())),
    method("String", &[], Type::Text, |v, _| Ok(version(v)?.to_string().into())),
    method("IncMajor", &[], Type::VersionCopy, |v, _| version(v)?.next_major().map(versioned)),
    method("IncMinor", &[], Type::VersionCopy, |v, _| version(v)?.next_minor().map(versioned)),
    method("IncPatch", &[], Type::VersionCopy, |v, _| version(v)?.next_patch().map(versioned)),
    method("SetPrerelease", &[Type::Text], Type::VersionCopy, |v, a| version(v)?.with_prerelease(text(&a[0])?).map(versioned)),
    method("SetMetadata", &[Type::Text], Type::VersionCopy, |v, a| version(v)?.with_metadata(text(&a[0])?).map(versioned)),
];

static VERSION: &[Method] = &[
    method("Major", &[], Type::Int, |v, _| Ok(version(v)?.major().into())),
    method("Minor", &[], Type::Int, |v, _| Ok(version(v)?.minor().into())),
    method("Patch", &[], Type::Int, |v, _| Ok(version(v)?.patch().into())),
    method("Prerelease", &[], Type::Text, |v, _| Ok(version(v)?.prerelease().into())),
    method("Metadata", &[], Type::Text, |v, _| Ok(version(v)?.metadata().into())),
    method("String", &[], Type::Text, |v, _| Ok(version(v)?.to_string().into())),
    method("IncMajor", &[], Type::VersionCopy, |v, _| version(v)?.next_major().map(versioned)),
    method("IncMinor", &[], Type::VersionCopy, |v, _| version(v)?.next_minor().map(versioned)),
    method("IncPatch", &[], Type::VersionCopy, |v, _| version(v)?.next_patch().map(versioned)),
    method("SetPrerelease", &[Type::Text], Type::VersionCopy, |v, a| version(v)?.with_prerelease(text(&a[0])?).map(versioned)),
    method("SetMetadata", &[Type::Text], Type::VersionCopy, |v, a| version(v)?.with_metadata(text(&a[0])?).map(versioned)),
    method("Original", &[], Type::Text, |v, _| Ok(version(v)?.original().into())),
    method("Compare", &[Type::Version], Type::Int, |v, a| Ok(Value::Int(version(v)?.compare(version(&a[0])?) as i64))),
    method("LessThan", &[Type::Version], Type::Bool, |v, a| Ok(version(v)?.compare(version(&a[0])?).is_lt().into())),
    method("LessThanEqual", &[Type::Version], Type::Bool, |v, a| Ok(version(v)?.compare(version(&a[0])?).is_le().into())),
    method("GreaterThan", &[Type::Version], Type::Bool, |v, a| Ok(version(v)?.compare(version(&a[0])?).is_gt().into())),
    method("GreaterThanEqual", &[Type::Version], Type::Bool, |v, a| Ok(version(v)?.compare(version(&a[0])?).is_ge().into())),
    method("Equal", &[Type::Version], Type::Bool, |v, a| Ok(version(v)?.compare(version(&a[0])?).is_eq().into())),
];

/// The methods of a type.
pub(super) fn table(nature: &Nature) -> Option<&'static [Method]> {
    Some(match nature {
        Nature::Time => TIME,
        Nature::Duration => DURATION,
        Nature::Month => MONTH,
        Nature::Weekday => WEEKDAY,
        Nature::Zone => ZONE,
        Nature::Version => VERSION,
        Nature::VersionCopy => VERSION_COPY,
        _ => return None,
    })
}

/// The method of a value, bound to it.
pub(super) fn find(value: &Value, name: &str) -> Option<Value> {
    let table = match value {
        Value::Time(_) => TIME,
        Value::Duration(_) => DURATION,
        Value::Month(_) => MONTH,
        Value::Weekday(_) => WEEKDAY,
        Value::Zone(_) => ZONE,
        Value::Version(_) => VERSION,
        _ => return None,
    };
    let method = table.iter().find(|method| method.name == name)?;
    Some(Value::Function(Function::method(value.clone(), method)))
}

/// Calls a bound method.
pub(super) fn call(receiver: &Value, method: &Method, arguments: &[Value]) -> Result<Value, String> {
    if arguments.len() != method.parameters.len() {
        return Err(format!("invalid number of arguments to call `{}` (expected {}, got {})", method.name, method.parameters.len(), arguments.len()));
    }
    (method.run)(receiver, arguments).map_err(|message| format!("cannot call `{}`: {message}", method.name))
}
