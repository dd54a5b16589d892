//! Instants with a zone, and Go's layouts (`2006-01-02 15:04:05`).

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

/// An instant with the zone it is shown in.
#[derive(Clone, Debug, PartialEq)]
pub struct Time(Zoned);

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }

    /// A zone of the tz database, `UTC` or `Local` (which is UTC here: a runner's own zone must not change results).
    ///
    /// # Errors
    /// An unknown name.
    pub fn find(name: &str) -> Result<Self, String> {
        if matches!(name, "" | "UTC" | "Local") {
            return Ok(Self { name: if name == "Local" { "Local".into() } else { "UTC".into() }, zone: TimeZone::UTC });
        }
        TimeZone::get(name)
            .map(|zone| Self { name: name.into(), zone })
            .map_err(|_| format!("unknown time zone `{name}`; use a name of the tz database such as `Europe/Berlin`"))
    }

    /// The name it was found under.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Time {
    /// An instant in UTC.
    pub fn utc(timestamp: Timestamp) -> Self {
        Self(timestamp.to_zoned(TimeZone::UTC))
    }

    /// An RFC 3339 text with the offset it is written with.
    ///
    /// # Errors
    /// Text of another form.
    pub fn from_rfc3339(text: &str) -> Result<Self, String> {
        parse("2006-01-02T15:04:05Z07:00", text, &Zone::utc())
    }

    /// The instant.
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }

    pub(super) fn zoned(&self) -> &Zoned {
        &self.0
    }

    pub(super) fn in_zone(&self, zone: &Zone) -> Self {
        Self(self.0.timestamp().to_zoned(zone.zone.clone()))
    }

    /// Go's zero time.
    pub(super) fn zero() -> Self {
        Self(civil::date(1, 1, 1).to_zoned(TimeZone::UTC).unwrap_or_default())
    }

    pub(super) fn add_nanos(&self, nanos: i64) -> Result<Self, String> {
        self.0.checked_add(SignedDuration::from_nanos(nanos)).map(Self).map_err(|_| "the time is out of range".into())
    }

    /// Nanoseconds since `other`, at most about 292 years.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let nanos = self.0.timestamp().as_nanosecond() - other.0.timestamp().as_nanosecond();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// Adds to the calendar date as Go does: overflowing days run on into the next month.
    pub(super) fn add_date(&self, years: i64, months: i64, days: i64) -> Result<Self, String> {
        let out = || String::from("the date is out of range");
        let date = self.0.date();
        let month = i64::from(date.year()).checked_add(years).ok_or_else(out)?.checked_mul(12).ok_or_else(out)?;
        let month = month.checked_add(i64::from(date.month()) - 1).and_then(|month| month.checked_add(months)).ok_or_else(out)?;
        let first =
            civil::Date::new(i16::try_from(month.div_euclid(12)).map_err(|_| out())?, i8::try_from(month.rem_euclid(12) + 1).map_err(|_| out())?, 1)
                .map_err(|_| out())?;
        let days = days.checked_add(i64::from(date.day()) - 1).ok_or_else(out)?;
        let span = jiff::Span::new().try_days(days).map_err(|_| out())?;
        let date = first.checked_add(span).map_err(|_| out())?;
        date.to_datetime(self.0.time()).to_zoned(self.0.time_zone().clone()).map(Self).map_err(|_| out())
    }

    /// As Go's JSON: RFC 3339 with as many digits of the second as needed.
    pub(super) fn rfc3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    pub(super) fn go_string(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// Writes the time by a Go layout.
    pub(super) fn format(&self, layout: &str) -> String {
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let (literal, element, after) = next_element(rest);
            out.push_str(literal);
            if let Some(element) = element {
                self.write(&mut out, &element);
            }
            rest = after;
        }
        out
    }

    fn write(&self, out: &mut String, element: &Element) {
        use std::fmt::Write as _;
        let time = &self.0;
        let hour12 = match time.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let _ = match element {
            Element::LongMonth => write!(out, "{}", month_name(time.month())),
            Element::Month => write!(out, "{}", &month_name(time.month())[..3]),
            Element::NumMonth => write!(out, "{}", time.month()),
            Element::ZeroMonth => write!(out, "{:02}", time.month()),
            Element::LongWeekday => write!(out, "{}", weekday_name(weekday_of(time))),
            Element::Weekday => write!(out, "{}", &weekday_name(weekday_of(time))[..3]),
            Element::Day => write!(out, "{}", time.day()),
            Element::UnderDay => write!(out, "{:>2}", time.day()),
            Element::ZeroDay => write!(out, "{:02}", time.day()),
            Element::UnderYearDay => write!(out, "{:>3}", time.day_of_year()),
            Element::ZeroYearDay => write!(out, "{:03}", time.day_of_year()),
            Element::Hour => write!(out, "{:02}", time.hour()),
            Element::Hour12 => write!(out, "{hour12}"),
            Element::ZeroHour12 => write!(out, "{hour12:02}"),
            Element::Minute => write!(out, "{}", time.minute()),
            Element::ZeroMinute => write!(out, "{:02}", time.minute()),
            Element::Second => write!(out, "{}", time.second()),
            Element::ZeroSecond => write!(out, "{:02}", time.second()),
            Element::LongYear => write!(out, "{}{:04}", if time.year() < 0 { "-" } else { "" }, time.year().unsigned_abs()),
            Element::Year => write!(out, "{:02}", time.year().unsigned_abs() % 100),
            Element::Pm(upper) => {
                let text = if time.hour() >= 12 { "PM" } else { "AM" };
                write!(out, "{}", if *upper { text.to_owned() } else { text.to_lowercase() })
            }
            Element::ZoneName => {
                let info = time.time_zone().to_offset_info(time.timestamp());
                let offset = time.offset().seconds();
                // an offset without a name is written as Go does
                let name = info.abbreviation();
                if time.time_zone().iana_name().is_none() && offset != 0 {
                    write!(out, "{}", offset_text(offset, "", false, false))
                } else {
                    write!(out, "{name}")
                }
            }
            Element::Offset { z, colon, seconds, short } => {
                let offset = time.offset().seconds();
                if *z && offset == 0 {
                    write!(out, "Z")
                } else {
                    write!(out, "{}", offset_text(offset, if *colon { ":" } else { "" }, *short, *seconds))
                }
            }
            Element::Fraction { digits, trim, separator } => {
                let nanos = format!("{:09}", time.subsec_nanosecond());
                let mut text = nanos[..(*digits).min(9)].to_owned();
                if *trim {
                    text = text.trim_end_matches('0').to_owned();
                }
                if text.is_empty() { Ok(()) } else { write!(out, "{separator}{text}") }
            }
        };
    }
}

/// `January` and so on.
pub(super) fn month_name(month: i8) -> &'static str {
    const NAMES: [&str; 12] =
        ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    usize::try_from(month).ok().and_then(|month| NAMES.get(month.wrapping_sub(1))).unwrap_or(&"?")
}

/// `Sunday` and so on.
pub(super) fn weekday_name(day: i8) -> &'static str {
    const NAMES: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    usize::try_from(day).ok().and_then(|day| NAMES.get(day)).unwrap_or(&"?")
}

/// Sunday 0.
pub(super) fn weekday_of(time: &Zoned) -> i8 {
    time.weekday().to_sunday_zero_offset()
}

fn offset_text(offset: i32, colon: &str, short: bool, seconds: bool) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let mut text = format!("{sign}{:02}", offset / 3600);
    if !short {
        text += &format!("{colon}{:02}", offset / 60 % 60);
    }
    if seconds {
        text += &format!("{colon}{:02}", offset % 60);
    }
    text
}

enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    Pm(bool),
    ZoneName,
    Offset { z: bool, colon: bool, seconds: bool, short: bool },
    Fraction { digits: usize, trim: bool, separator: char },
}

/// The literal text before the next element of a layout, the element, and the rest.
fn next_element(layout: &str) -> (&str, Option<Element>, &str) {
    for (index, _) in layout.char_indices() {
        if let Some((element, length)) = element_at(&layout[index..]) {
            return (&layout[..index], Some(element), &layout[index + length..]);
        }
    }
    (layout, None, "")
}

fn element_at(text: &str) -> Option<(Element, usize)> {
    let lower_follows = |length: usize| text[length..].starts_with(|next: char| next.is_ascii_lowercase());
    type Make = fn() -> Element;
    let fixed: [(&str, Make); 27] = [
        ("January", || Element::LongMonth),
        ("Monday", || Element::LongWeekday),
        ("MST", || Element::ZoneName),
        ("2006", || Element::LongYear),
        ("__2", || Element::UnderYearDay),
        ("002", || Element::ZeroYearDay),
        ("01", || Element::ZeroMonth),
        ("02", || Element::ZeroDay),
        ("03", || Element::ZeroHour12),
        ("04", || Element::ZeroMinute),
        ("05", || Element::ZeroSecond),
        ("06", || Element::Year),
        ("15", || Element::Hour),
        ("PM", || Element::Pm(true)),
        ("pm", || Element::Pm(false)),
        ("-07:00:00", || Element::Offset { z: false, colon: true, seconds: true, short: false }),
        ("-07:00", || Element::Offset { z: false, colon: true, seconds: false, short: false }),
        ("-070000", || Element::Offset { z: false, colon: false, seconds: true, short: false }),
        ("-0700", || Element::Offset { z: false, colon: false, seconds: false, short: false }),
        ("-07", || Element::Offset { z: false, colon: false, seconds: false, short: true }),
        ("Z07:00:00", || Element::Offset { z: true, colon: true, seconds: true, short: false }),
        ("Z07:00", || Element::Offset { z: true, colon: true, seconds: false, short: false }),
        ("Z070000", || Element::Offset { z: true, colon: false, seconds: true, short: false }),
        ("Z0700", || Element::Offset { z: true, colon: false, seconds: false, short: false }),
        ("Z07", || Element::Offset { z: true, colon: false, seconds: false, short: true }),
        ("1", || Element::NumMonth),
        ("2", || Element::Day),
    ];
    if text.starts_with("Jan") && !text.starts_with("January") && !lower_follows(3) {
        return Some((Element::Month, 3));
    }
    if text.starts_with("Mon") && !text.starts_with("Monday") && !lower_follows(3) {
        return Some((Element::Weekday, 3));
    }
    if let Some(rest) = text.strip_prefix('_') {
        if rest.starts_with("2006") {
            // `_2006` is an underscore and a year
            return None;
        }
        if rest.starts_with('2') {
            return Some((Element::UnderDay, 2));
        }
    }
    for (pattern, make) in fixed {
        if text.starts_with(pattern) {
            return Some((make(), pattern.len()));
        }
    }
    for (pattern, element) in [("3", Element::Hour12), ("4", Element::Minute), ("5", Element::Second)] {
        if text.starts_with(pattern) {
            return Some((element, 1));
        }
    }
    let separator = text.chars().next().filter(|character| matches!(character, '.' | ','))?;
    let digit = text[1..].chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let digits = text[1..].chars().take_while(|character| *character == digit).count();
    if text[1 + digits..].starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    Some((Element::Fraction { digits, trim: digit == '9', separator }, 1 + digits))
}

/// Parts of a time as they are read.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    pm: Option<bool>,
    offset: Option<i32>,
    zone_name: Option<String>,
}

/// Reads a time by a Go layout; without an offset in the text it is in `zone`.
///
/// # Errors
/// The text does not have the form of the layout.
pub(super) fn parse(layout: &str, text: &str, zone: &Zone) -> Result<Time, String> {
    let wrong = || format!("`{text}` is not a time of the form `{layout}`");
    let mut parts =
        Parts { year: 0, month: 1, day: 1, year_day: None, hour: 0, minute: 0, second: 0, nanos: 0, pm: None, offset: None, zone_name: None };
    let (mut layout_rest, mut rest) = (layout, text);
    while !layout_rest.is_empty() {
        let (literal, element, after) = next_element(layout_rest);
        rest = rest.strip_prefix(literal).ok_or_else(wrong)?;
        if let Some(element) = element {
            rest = parts.read(&element, rest, after).ok_or_else(wrong)?;
        }
        layout_rest = after;
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    parts.finish(zone).ok_or_else(|| format!("`{text}` is not a time: a part is out of range"))
}

impl Parts {
    fn read<'a>(&mut self, element: &Element, text: &'a str, layout_after: &str) -> Option<&'a str> {
        let mut rest = text;
        match element {
            Element::LongMonth | Element::Month => {
                let long = matches!(element, Element::LongMonth);
                let (index, length) = name_at(text, month_name, 1..=12, long)?;
                self.month = i64::from(index);
                rest = &text[length..];
            }
            Element::LongWeekday | Element::Weekday => {
                let (_, length) = name_at(text, weekday_name, 0..=6, matches!(element, Element::LongWeekday))?;
                rest = &text[length..];
            }
            Element::NumMonth => self.month = digits(&mut rest, 1, 2)?,
            Element::ZeroMonth => self.month = digits(&mut rest, 2, 2)?,
            Element::Day => self.day = digits(&mut rest, 1, 2)?,
            Element::UnderDay => {
                rest = rest.strip_prefix(' ').unwrap_or(rest);
                self.day = digits(&mut rest, 1, 2)?;
            }
            Element::ZeroDay => self.day = digits(&mut rest, 2, 2)?,
            Element::UnderYearDay => {
                rest = rest.trim_start_matches(' ');
                self.year_day = Some(digits(&mut rest, 1, 3)?);
            }
            Element::ZeroYearDay => self.year_day = Some(digits(&mut rest, 3, 3)?),
            Element::Hour => self.hour = digits(&mut rest, 1, 2)?,
            Element::Hour12 => self.hour = digits(&mut rest, 1, 2)?,
            Element::ZeroHour12 => self.hour = digits(&mut rest, 2, 2)?,
            Element::Minute => self.minute = digits(&mut rest, 1, 2)?,
            Element::ZeroMinute => self.minute = digits(&mut rest, 2, 2)?,
            Element::Second | Element::ZeroSecond => {
                self.second = digits(&mut rest, if matches!(element, Element::Second) { 1 } else { 2 }, 2)?;
                // a fraction may follow although the layout has none
                let fraction_expected = matches!(next_element(layout_after), ("", Some(Element::Fraction { .. }), _));
                if !fraction_expected && rest.starts_with(['.', ',']) && rest[1..].starts_with(|digit: char| digit.is_ascii_digit()) {
                    rest = self.fraction(&rest[1..])?;
                }
            }
            Element::LongYear => self.year = digits(&mut rest, 4, 4)?,
            Element::Year => {
                let year = digits(&mut rest, 2, 2)?;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            Element::Pm(upper) => {
                let (am, pm) = if *upper { ("AM", "PM") } else { ("am", "pm") };
                self.pm = Some(if let Some(after) = rest.strip_prefix(pm) {
                    rest = after;
                    true
                } else {
                    rest = rest.strip_prefix(am)?;
                    false
                });
            }
            Element::ZoneName => {
                let length = rest.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&length) {
                    return None;
                }
                self.zone_name = Some(rest[..length].to_owned());
                rest = &rest[length..];
            }
            Element::Offset { z, colon, seconds, short } => {
                if *z && let Some(after) = rest.strip_prefix('Z') {
                    self.offset = Some(0);
                    return Some(after);
                }
                let sign = match rest.chars().next()? {
                    '+' => 1,
                    '-' => -1,
                    _ => return None,
                };
                rest = &rest[1..];
                let mut offset = digits(&mut rest, 2, 2)? * 3600;
                if !short {
                    if *colon {
                        rest = rest.strip_prefix(':')?;
                    }
                    offset += digits(&mut rest, 2, 2)? * 60;
                }
                if *seconds {
                    if *colon {
                        rest = rest.strip_prefix(':')?;
                    }
                    offset += digits(&mut rest, 2, 2)?;
                }
                self.offset = i32::try_from(sign * offset).ok();
            }
            Element::Fraction { digits, trim, separator: _ } => {
                let Some(after) = rest.strip_prefix(['.', ',']) else {
                    return if *trim { Some(rest) } else { None };
                };
                let count = after.bytes().take_while(u8::is_ascii_digit).count();
                if !trim && count != *digits {
                    return None;
                }
                rest = self.fraction(after)?;
            }
        }
        Some(rest)
    }

    fn fraction<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let count = text.bytes().take_while(u8::is_ascii_digit).count();
        let padded: String = text[..count].chars().chain("000000000".chars()).take(9).collect();
        self.nanos = padded.parse().ok()?;
        Some(&text[count..])
    }

    fn finish(mut self, zone: &Zone) -> Option<Time> {
        match self.pm {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let date = match self.year_day {
            Some(day) => civil::Date::new(i16::try_from(self.year).ok()?, 1, 1)
                .ok()?
                .checked_add(jiff::Span::new().try_days(day - 1).ok()?)
                .ok()
                .filter(|date| i64::from(date.year()) == self.year)?,
            None => civil::Date::new(i16::try_from(self.year).ok()?, i8::try_from(self.month).ok()?, i8::try_from(self.day).ok()?).ok()?,
        };
        let time = civil::Time::new(
            i8::try_from(self.hour).ok()?,
            i8::try_from(self.minute).ok()?,
            i8::try_from(self.second).ok()?,
            i32::try_from(self.nanos).ok()?,
        )
        .ok()?;
        let zone = match (self.offset, self.zone_name.as_deref()) {
            (Some(0), _) | (None, Some("UTC" | "GMT")) => TimeZone::UTC,
            (Some(seconds), _) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
            (None, _) => zone.zone.clone(),
        };
        date.to_datetime(time).to_zoned(zone).ok().map(Time)
    }
}

fn digits(text: &mut &str, least: usize, most: usize) -> Option<i64> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    let value = text[..count].parse().ok()?;
    *text = &text[count..];
    Some(value)
}

fn name_at(text: &str, name: impl Fn(i8) -> &'static str, range: std::ops::RangeInclusive<i8>, long: bool) -> Option<(i8, usize)> {
    range
        .map(|index| (index, if long { name(index) } else { &name(index)[..3] }))
        .find(|(_, name)| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
        .map(|(index, name)| (index, name.len()))
}

/// Reads a text by the layouts that `date()` knows.
pub(super) fn parse_any(text: &str, zone: &Zone) -> Result<Time, String> {
    const LAYOUTS: [&str; 7] = [
        "2006-01-02",
        "15:04:05",
        "2006-01-02 15:04:05",
        "2006-01-02T15:04:05Z07:00",
        "02 Jan 06 15:04 MST",
        "Monday, 02-Jan-06 15:04:05 MST",
        "Mon, 02 Jan 2006 15:04:05 MST",
    ];
    LAYOUTS
        .iter()
        .find_map(|layout| parse(layout, text, zone).ok())
        .ok_or_else(|| format!("invalid date `{text}`; write it as `2006-01-02` or RFC 3339, or give its layout as second argument"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn layouts_write_as_go_does() {
        let time = Time::from_rfc3339("2026-05-06T07:08:09.120+02:00").unwrap();
        for (layout, text) in [
            ("2006-01-02T15:04:05Z07:00", "2026-05-06T07:08:09+02:00"),
            ("Monday, 2 January 06 3:4:5 PM", "Wednesday, 6 May 26 7:8:9 AM"),
            ("Jan _2 15:04:05.000", "May  6 07:08:09.120"),
            ("15:04:05.999", "07:08:09.12"),
            ("002 __2 -0700 -07 MST", "126 126 +0200 +02 +0200"),
            ("%Y-%m-%d", "%Y-%m-%d"),
            ("20060102", "20260506"),
        ] {
            assert_eq!(time.format(layout), text, "{layout}");
        }
    }

    #[test]
    fn layouts_read_as_go_does() {
        for (layout, text, expected) in [
            ("02.01.2006", "01.05.2026", "2026-05-01T00:00:00Z"),
            ("Jan 2, 2006 at 3:04pm (MST)", "Feb 3, 2013 at 7:54pm (UTC)", "2013-02-03T19:54:00Z"),
            ("2006-01-02T15:04:05Z07:00", "2024-02-29T23:59:59.5-03:30", "2024-02-29T23:59:59.5-03:30"),
        ] {
            assert_eq!(parse(layout, text, &Zone::utc()).unwrap().rfc3339(), expected);
        }
        for (layout, text) in [("2006-01-02", "2026-02-30"), ("2006-01-02", "2026-1-2"), ("2006-01-02", "2026-01-02x"), ("15:04", "25:00")] {
            assert!(parse(layout, text, &Zone::utc()).is_err(), "{text}");
        }
    }

    #[test]
    fn days_run_on_into_the_next_month() {
        let time = Time::from_rfc3339("2026-01-31T10:00:00Z").unwrap();
        assert_eq!(time.add_date(0, 1, 0).unwrap().rfc3339(), "2026-03-03T10:00:00Z");
        assert_eq!(time.add_date(-1, -1, 1).unwrap().rfc3339(), "2025-01-01T10:00:00Z");
        assert!(time.add_date(i64::MAX, 0, 0).is_err());
    }
}
