//! How diagnostics are shown: framed text, JSON, workflow annotations, SARIF.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Label, Place, Severity, SourceMap};

/// All diagnostics as text for people, each with its lines framed. Ends with a line that counts them; empty if there is nothing to say.
pub fn text(diagnostics: &[Diagnostic], sources: &SourceMap, color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    // Without colour the theme alone would keep the escapes of hyperlinks.
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width.clamp(60, 160)).with_context_lines(1);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let framed = Framed::new(diagnostic, sources);
        if handler.render_report(&mut out, &framed).is_err() {
            let _ = writeln!(out, "{}: {} [{}]", diagnostic.severity, diagnostic.message, diagnostic.code);
        }
        out.push('\n');
    }
    if !diagnostics.is_empty() {
        let _ = writeln!(out, "{}", count(diagnostics));
    }
    out
}

/// `2 errors, 1 warning`.
pub fn count(diagnostics: &[Diagnostic]) -> String {
    let parts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (severity, diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{count} {severity}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "nothing to complain about".into() } else { parts.join(", ") }
}

/// The document of `validate --format json`.
pub fn json(diagnostics: &[Diagnostic], sources: &SourceMap, resources: &BTreeMap<String, usize>) -> Value {
    let listed: Vec<Value> = diagnostics.iter().map(|diagnostic| one(diagnostic, sources)).collect();
    json!({"ok": diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error), "resources": resources, "diagnostics": listed})
}

fn one(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let mut object = json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.as_str(),
        "message": diagnostic.message,
        "file": Value::Null,
        "line": Value::Null,
        "column": Value::Null,
        "help": diagnostic.help,
    });
    if let Some(label) = &diagnostic.primary {
        let (start, end) = (sources.start(&label.place), sources.position(label.place.file, label.place.span.end));
        object["file"] = sources.path(label.place.file).into();
        object["line"] = start.line.into();
        object["column"] = start.column.into();
        object["endLine"] = end.line.into();
        object["endColumn"] = end.column.into();
        object["label"] = label.text.as_str().into();
    }
    let related: Vec<Value> = diagnostic
        .related
        .iter()
        .map(|label| {
            let start = sources.start(&label.place);
            json!({"file": sources.path(label.place.file), "line": start.line, "column": start.column, "label": label.text})
        })
        .collect();
    if !related.is_empty() {
        object["related"] = related.into();
    }
    object
}

/// Workflow commands of GitHub Actions: one annotation each.
pub fn github(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut properties = Vec::new();
        if let Some(label) = &diagnostic.primary {
            let start = sources.start(&label.place);
            properties.push(format!("file={}", property(sources.path(label.place.file))));
            properties.push(format!("line={},col={}", start.line, start.column));
        }
        properties.push(format!("title={}", property(diagnostic.code)));
        let message = match &diagnostic.help {
            Some(help) => format!("{}\n{help}", diagnostic.message),
            None => diagnostic.message.clone(),
        };
        let _ = writeln!(out, "::{command} {}::{}", properties.join(","), data(&message));
    }
    out
}

/// Escapes the message of a workflow command.
pub fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
pub fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A SARIF 2.1.0 log, for code scanning.
pub fn sarif(diagnostics: &[Diagnostic], sources: &SourceMap) -> Value {
    let codes: BTreeMap<&str, ()> = diagnostics.iter().map(|diagnostic| (diagnostic.code, ())).collect();
    let rules: Vec<Value> = codes.keys().map(|code| json!({"id": code})).collect();
    let location = |label: &Label| {
        let (start, end) = (sources.start(&label.place), sources.position(label.place.file, label.place.span.end));
        json!({
            "physicalLocation": {
                "artifactLocation": {"uri": sources.path(label.place.file)},
                "region": {"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column},
            },
            "message": {"text": label.text},
        })
    };
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            let text = match &diagnostic.help {
                Some(help) => format!("{}\n{help}", diagnostic.message),
                None => diagnostic.message.clone(),
            };
            json!({
                "ruleId": diagnostic.code,
                "level": diagnostic.severity.as_str(),
                "message": {"text": text},
                "locations": diagnostic.primary.iter().map(location).collect::<Vec<_>>(),
                "relatedLocations": diagnostic.related.iter().map(location).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "consign", "version": env!("CARGO_PKG_VERSION"), "rules": rules}}, "results": results}],
    })
}

/// A diagnostic in the form that miette frames.
struct Framed {
    severity: Severity,
    code: &'static str,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl Framed {
    fn new(diagnostic: &Diagnostic, sources: &SourceMap) -> Self {
        let mut framed = Self {
            severity: diagnostic.severity,
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            source: None,
            labels: Vec::new(),
        };
        let Some(primary) = &diagnostic.primary else { return framed };
        let file = primary.place.file;
        framed.source = Some(NamedSource::new(sources.path(file), sources.shown(file)));
        framed.labels.push(LabeledSpan::new_primary_with_span(Some(primary.text.clone()), first_line(&primary.place, sources)));
        for label in &diagnostic.related {
            if label.place.file == file {
                framed.labels.push(LabeledSpan::new_with_span(Some(label.text.clone()), first_line(&label.place, sources)));
            } else {
                // A frame shows one file; places elsewhere are named.
                let help = framed.help.get_or_insert_default();
                if !help.is_empty() {
                    help.push('\n');
                }
                let _ = write!(help, "{}: {}", label.text, sources.describe(&label.place));
            }
        }
        framed
    }
}

/// The first line of a place: a whole mapping is not underlined.
fn first_line(place: &Place, sources: &SourceMap) -> (usize, usize) {
    let text = sources.slice(place);
    let line = text.lines().next().unwrap_or_default().trim_end();
    (place.span.start, line.len())
}

impl fmt::Debug for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Framed {}

impl miette::Diagnostic for Framed {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
