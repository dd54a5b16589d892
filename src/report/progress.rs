//! Progress for people, on stderr: one live line per stage on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Tells people how far a tick is. Cheap to call; never fails; changes nothing about the tick.
pub struct Progress {
    mode: Mode,
}

enum Mode {
    Quiet,
    /// A line per event, for logs.
    Plain,
    /// A line per stage that is rewritten in place.
    Live {
        all: MultiProgress,
        lines: Mutex<BTreeMap<String, ProgressBar>>,
    },
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            Mode::Quiet => "Progress::Quiet",
            Mode::Plain => "Progress::Plain",
            Mode::Live { .. } => "Progress::Live",
        })
    }
}

impl Progress {
    /// Live on a terminal, plain in a log, nothing with `--quiet`.
    pub fn new(quiet: bool) -> Self {
        let mode = if quiet {
            Mode::Quiet
        } else if std::io::stderr().is_terminal() {
            Mode::Live { all: MultiProgress::new(), lines: Mutex::default() }
        } else {
            Mode::Plain
        };
        Self { mode }
    }

    /// Says nothing.
    pub fn quiet() -> Self {
        Self { mode: Mode::Quiet }
    }

    /// A line that stays.
    pub fn note(&self, text: &str) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Plain => write_line(text),
            Mode::Live { all, .. } => {
                let _ = all.println(text);
            }
        }
    }

    /// What a stage is doing now. In a log this is not worth a line.
    pub fn doing(&self, stage: &str, text: &str) {
        let Mode::Live { all, lines } = &self.mode else { return };
        let mut lines = lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = lines.entry(stage.to_owned()).or_insert_with(|| {
            let line = all.add(ProgressBar::new_spinner());
            line.set_style(ProgressStyle::with_template("{spinner} {prefix:.bold} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
            line.set_prefix(stage.to_owned());
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        line.set_message(text.to_owned());
    }

    /// How a stage ended or what it waits for.
    pub fn done(&self, stage: &str, text: &str) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Plain => write_line(&format!("{stage}: {text}")),
            Mode::Live { all, lines } => {
                if let Some(line) = lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(stage) {
                    line.finish_and_clear();
                }
                let _ = all.println(format!("{stage}: {text}"));
            }
        }
    }

    /// Removes the live lines; what stays was said with `note` and `done`.
    pub fn finish(&self) {
        if let Mode::Live { all, .. } = &self.mode {
            let _ = all.clear();
        }
    }
}

/// stderr may be closed; that is no reason to stop promoting.
fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
