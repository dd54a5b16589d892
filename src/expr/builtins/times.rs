//! Functions that make times and durations.

use super::{Builtin, Machinery, Type, Value, plain, ruled, text};
use crate::expr::gotime::{Time, Zone, parse, parse_any};
use crate::expr::nature::Nature;
use crate::model::GoDuration;

pub(super) static TABLE: &[Builtin] = &[
    ruled("now", now_rule, |a, m| {
        let now = Time::utc(m.now);
        match a {
            [] => Ok(Value::Time(now)),
            [Value::Zone(zone)] => Ok(Value::Time(now.in_zone(zone))),
            _ => Err(format!("invalid number of arguments (expected 0, got {})", a.len())),
        }
    }),
    plain("duration", &[&[Type::Text]], Type::Duration, |a, _| {
        let text = text("duration", a, 0)?;
        let duration: GoDuration = text.parse().map_err(|message: String| {
            let unit = text.trim_start_matches(|character: char| character.is_ascii_digit() || matches!(character, '.' | '-' | '+'));
            if unit.starts_with(['d', 'w', 'y']) { format!("unknown unit in `{text}`: the largest is `h`, a day is `24h`") } else { message }
        })?;
        i64::try_from(duration.signed().as_nanos()).map(Value::Duration).map_err(|_| format!("`{text}` is out of range"))
    }),
    ruled("date", date_rule, date),
    plain("timezone", &[&[Type::Text]], Type::Zone, |a, _| Zone::find(text("timezone", a, 0)?).map(Value::Zone)),
];

fn now_rule(natures: &[Nature]) -> Result<Nature, String> {
    match natures {
        [] | [Nature::Zone] => Ok(Nature::Time),
        // a zone that only shows at run time is refused, as in expr-lang
        _ => Err(format!("invalid number of arguments (expected 0, got {}); a zone is written `now(timezone('...'))`", natures.len())),
    }
}

fn date_rule(natures: &[Nature]) -> Result<Nature, String> {
    let rest = match natures {
        [] => return Err("invalid number of arguments (expected at least 1, got 0)".into()),
        [Nature::Zone, rest @ ..] => rest,
        all => all,
    };
    if rest.len() > 3 { Err(format!("invalid number of arguments (expected at most 3, got {})", rest.len())) } else { Ok(Nature::Time) }
}

fn date(arguments: &[Value], _: &mut Machinery<'_>) -> Result<Value, String> {
    let (zone, rest) = match arguments {
        [Value::Zone(zone), rest @ ..] => (zone.clone(), rest),
        all => (Zone::utc(), all),
    };
    let date = text("date", rest, 0)?;
    let time = match rest.len() {
        1 => parse_any(date, &zone),
        2 => parse(text("date", rest, 1)?, date, &zone),
        _ => parse(text("date", rest, 1)?, date, &Zone::find(text("date", rest, 2)?)?),
    };
    time.map(Value::Time)
}
