//! Promotion windows whose rule or times cannot be read.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Context;
use crate::config::admission::{items, text};
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for config in context.of_kind("ProjectConfig").chain(context.of_kind("ClusterConfig")) {
        let path = FieldPath::root().fields("spec.promotionWindows");
        for (at, window) in items(&config.object, &path.pointer()).iter().enumerate() {
            let mut bad = |field: &str, reason: String, help: &str| {
                found
                    .push(Diagnostic::error("config/bad-window", reason).at(config.place(&path.index(at).field(field)), "cannot be read").help(help));
            };
            let rule = text(window, "/rrule");
            if !rule.is_empty()
                && let Err(reason) = check_rule(rule)
            {
                bad("rrule", reason, "write an RFC 5545 rule such as `FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR`");
            }
            for field in ["dtstart", "dtend"] {
                let time = text(window, &format!("/{field}"));
                if !time.is_empty()
                    && let Err(reason) = check_time(time)
                {
                    bad(field, reason, "write a form such as `TZID=Europe/Berlin:20260105T090000`");
                }
            }
        }
    }
}

/// The parts of a rule and their values, as far as their form goes.
fn check_rule(rule: &str) -> Result<(), String> {
    let mut has_frequency = false;
    for part in rule.strip_prefix("RRULE:").unwrap_or(rule).split(';').filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else { return Err(format!("`{part}` is not a part of a rule")) };
        let all = |fits: fn(&str) -> bool| value.split(',').all(fits);
        let fits = match key.to_ascii_uppercase().as_str() {
            "FREQ" => {
                has_frequency = true;
                matches!(value.to_ascii_uppercase().as_str(), "SECONDLY" | "MINUTELY" | "HOURLY" | "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY")
            }
            "BYDAY" => all(|day| {
                let name = day.trim_start_matches(['+', '-']).trim_start_matches(|c: char| c.is_ascii_digit());
                matches!(name.to_ascii_uppercase().as_str(), "MO" | "TU" | "WE" | "TH" | "FR" | "SA" | "SU")
            }),
            "WKST" => matches!(value.to_ascii_uppercase().as_str(), "MO" | "TU" | "WE" | "TH" | "FR" | "SA" | "SU"),
            "INTERVAL" | "COUNT" => value.parse::<u32>().is_ok_and(|number| number > 0),
            "UNTIL" => check_time(value).is_ok(),
            "BYSECOND" | "BYMINUTE" | "BYHOUR" | "BYMONTHDAY" | "BYYEARDAY" | "BYWEEKNO" | "BYMONTH" | "BYSETPOS" => {
                all(|number| number.parse::<i32>().is_ok_and(|number| number.abs() <= 366))
            }
            _ => return Err(format!("`{key}` is not a part of a rule")),
        };
        if !fits {
            return Err(format!("`{value}` does not fit `{key}`"));
        }
    }
    if has_frequency { Ok(()) } else { Err("the rule does not say how often: `FREQ` is missing".into()) }
}

/// `[TZID=<zone>:]<date>[T<time>[Z]]`.
fn check_time(time: &str) -> Result<(), String> {
    let local = match time.strip_prefix("TZID=") {
        None => time,
        Some(rest) => {
            let (zone, local) = rest.split_once(':').ok_or_else(|| format!("`{time}` has no time after its zone"))?;
            TimeZone::get(zone).map_err(|_| format!("`{zone}` is not a time zone"))?;
            local
        }
    };
    let digits = local.trim_end_matches('Z');
    let form = if digits.contains('T') { digits.to_owned() } else { format!("{digits}T000000") };
    DateTime::strptime("%Y%m%dT%H%M%S", &form).map(|_| ()).map_err(|_| format!("`{local}` is not a date and time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_times_are_read_as_rfc_5545_writes_them() {
        for rule in ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TU,WE", "RRULE:FREQ=MONTHLY;BYDAY=-1FR;INTERVAL=2", "FREQ=YEARLY;UNTIL=20270101T000000Z"] {
            assert_eq!(check_rule(rule), Ok(()), "{rule}");
        }
        for rule in ["EVERY DAY", "FREQ=OFTEN", "BYDAY=MO", "FREQ=WEEKLY;BYDAY=MONDAY", "FREQ=DAILY;COUNT=0"] {
            assert!(check_rule(rule).is_err(), "{rule}");
        }
        for time in ["TZID=Europe/Berlin:20260105T090000", "20260105T090000Z", "20260105"] {
            assert_eq!(check_time(time), Ok(()), "{time}");
        }
        for time in ["9am", "TZID=Mars/Olympus:20260105T090000", "20261305T090000"] {
            assert!(check_time(time).is_err(), "{time}");
        }
    }
}
