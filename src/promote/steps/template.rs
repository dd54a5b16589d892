//! `template`: renders a file or a folder of templates. Our own.
//!
//! Templates see `values`, and of the promotion `ctx`, `vars`, `outputs` and `freight` (the promoted one). A name that is not defined is an
//! error. Jinja templates of a folder may include each other by their relative path; nothing else can be reached from a template.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use handlebars::Handlebars;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value, json};

use super::config::{self, StepConfig, TemplateConfig, TemplateEngine};
use super::files::{self, Stop, errored};
use crate::config::yaml;
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{Need, Workspace};

/// Instructions that one Jinja template may take.
const FUEL: u64 = 10_000_000;
/// A template may be this large.
const MAX_TEMPLATE: u64 = 4 << 20;
/// What one template gives may be this large.
const MAX_OUTPUT: usize = 32 << 20;
/// A folder may hold this many files.
const MAX_FILES: usize = 10_000;

/// The `template` step.
pub struct Template;

#[async_trait::async_trait]
impl Step for Template {
    fn kind(&self) -> &'static str {
        TemplateConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<TemplateConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: TemplateConfig = config::read(config)?;
        files::settle(render(run, config).await)
    }
}

async fn render(run: &mut StepRun<'_>, config: TemplateConfig) -> Result<StepResult, Stop> {
    let cannot = |reason: &str| errored(format!("cannot render `{}` to `{}`: {reason}", config.path, config.out_path));
    let from = run.workspace.follow(&config.path).await?;
    let to = run.workspace.follow(&config.out_path).await?;
    run.workspace.need(&[Need::Tree(from.clone())]).await?;
    let metadata = std::fs::metadata(&from).map_err(|error| cannot(&files::reason(&error)))?;
    if from == to || (metadata.is_dir() && to.starts_with(&from)) {
        return Err(cannot("the result would lie among the templates"));
    }
    let mut sources = Vec::new();
    if metadata.is_dir() {
        collect(&from, "", &mut sources).map_err(|error| cannot(&files::reason(&error)))?;
    } else {
        let name = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        sources.push(Source::read(name, &from).map_err(|error| cannot(&files::reason(&error)))?);
    }
    let context = context(run, &config).await?;
    let renderer = Renderer::new(&sources, config.engine);
    let mut outputs = Vec::new();
    for source in &sources {
        let (name, bytes) = renderer.render(source, &context).map_err(|error| errored(format!("cannot render `{}`: {error}", source.name)))?;
        let target = if metadata.is_dir() { to.join(name) } else { to.clone() };
        outputs.push((target, bytes, source.mode));
    }
    // Nothing is written before everything has been rendered.
    for (target, bytes, mode) in outputs {
        let shown = run.workspace.display(&target);
        let target = run.workspace.follow(&shown).await?;
        files::make_folders(target.parent().unwrap_or(&target), files::FOLDER_MODE)
            .and_then(|()| files::replace(&target, &bytes, mode))
            .map_err(|error| errored(format!("cannot write `{shown}`: {}", files::reason(&error))))?;
    }
    Ok(StepResult::succeeded())
}

/// A file to render or to copy.
struct Source {
    /// Relative to the folder.
    name: String,
    bytes: Vec<u8>,
    mode: u32,
}

impl Source {
    fn read(name: String, path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if metadata.len() > MAX_TEMPLATE && engine_of(&name).is_some() {
            return Err(io::Error::other(format!("the template `{name}` is larger than {} MiB", MAX_TEMPLATE >> 20)));
        }
        Ok(Self { name, bytes: std::fs::read(path)?, mode: metadata.permissions().mode() & 0o777 })
    }
}

fn collect(root: &Path, below: &str, sources: &mut Vec<Source>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(root.join(below))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().map_err(|name| io::Error::other(format!("the name `{}` is not UTF-8", name.display())))?;
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if entry.file_name() == ".git" {
            continue;
        }
        if kind.is_dir() {
            collect(root, &name, sources)?;
        } else if kind.is_file() {
            if sources.len() == MAX_FILES {
                return Err(io::Error::other(format!("it holds more than {MAX_FILES} files")));
            }
            sources.push(Source::read(name, &entry.path())?);
        }
    }
    Ok(())
}

/// What templates see.
async fn context(run: &mut StepRun<'_>, config: &TemplateConfig) -> Result<Value, Stop> {
    let mut values = Map::new();
    for path in &config.values_files {
        lay_over(&mut values, read_values(run.workspace, path).await?);
    }
    lay_over(&mut values, config.values.clone());
    let scope = (run.scope)().map_err(|error| errored(format!("cannot tell the templates what the promotion knows: {error}")))?;
    let freight = serde_json::to_value(run.target_freight).unwrap_or_default();
    Ok(json!({
        "values": values,
        "ctx": scope["ctx"],
        "vars": scope["vars"],
        "outputs": scope["outputs"],
        "freight": freight,
    }))
}

async fn read_values(workspace: &mut Workspace, path: &str) -> Result<Map<String, Value>, Stop> {
    let text = files::read_text(workspace, path).await?;
    let read = yaml::parse_documents(&text, &yaml::Options::default());
    if let Some(error) = read.error {
        let line = text[..error.span.start.min(text.len())].matches('\n').count() + 1;
        return Err(errored(format!("cannot read the values of `{path}`, line {line}: {error}")));
    }
    match read.documents.iter().flatten().map(yaml::Node::to_json).collect::<Vec<_>>().as_mut_slice() {
        [] | [Value::Null] => Ok(Map::new()),
        [Value::Object(values)] => Ok(std::mem::take(values)),
        _ => Err(errored(format!("cannot read the values of `{path}`: it must hold one mapping"))),
    }
}

/// Mappings merge, everything else is replaced.
fn lay_over(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(base)), Value::Object(over)) => lay_over(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn engine_of(name: &str) -> Option<TemplateEngine> {
    match Path::new(name).extension()?.to_str()? {
        "j2" => Some(TemplateEngine::Minijinja),
        "hbs" => Some(TemplateEngine::Handlebars),
        _ => None,
    }
}

struct Renderer<'a> {
    jinja: Environment<'a>,
    handlebars: Handlebars<'a>,
    engine: Option<TemplateEngine>,
}

impl<'a> Renderer<'a> {
    fn new(sources: &'a [Source], engine: Option<TemplateEngine>) -> Self {
        let mut jinja = Environment::new();
        jinja.set_undefined_behavior(UndefinedBehavior::Strict);
        jinja.set_auto_escape_callback(|_| AutoEscape::None);
        jinja.set_fuel(Some(FUEL));
        jinja.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the delimiters are the default ones"));
        jinja.set_loader({
            let texts: std::collections::HashMap<String, String> =
                sources.iter().filter_map(|source| Some((source.name.clone(), String::from_utf8(source.bytes.clone()).ok()?))).collect();
            move |name| Ok(texts.get(name).cloned())
        });
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(handlebars::no_escape);
        // Partials that include themselves would exhaust the stack: there are none.
        handlebars.register_decorator(
            "inline",
            Box::new(|_: &handlebars::Decorator<'_>, _: &Handlebars<'_>, _: &handlebars::Context, _: &mut handlebars::RenderContext<'_, '_>| {
                Err(handlebars::RenderErrorReason::Other("inline partials are not supported".into()).into())
            }),
        );
        Self { jinja, handlebars, engine }
    }

    /// Name and contents of what becomes of a file.
    fn render(&self, source: &Source, context: &Value) -> Result<(PathBuf, Vec<u8>), String> {
        let by_name = engine_of(&source.name);
        let Some(engine) = self.engine.or(by_name) else { return Ok((source.name.clone().into(), source.bytes.clone())) };
        let name = if by_name == Some(engine) { Path::new(&source.name).with_extension("") } else { PathBuf::from(&source.name) };
        let text = match std::str::from_utf8(&source.bytes) {
            Ok(text) => text,
            // Among the templates of a folder, what is no text is carried along.
            Err(_) if by_name.is_none() => return Ok((name, source.bytes.clone())),
            Err(_) => return Err("it is not UTF-8 text".into()),
        };
        let mut out = Bounded(Vec::new());
        match engine {
            TemplateEngine::Minijinja => {
                let template = self.jinja.get_template(&source.name).map_err(|error| chain(&error))?;
                template.render_captured_to(minijinja::value::Serde(context), &mut out).map(drop).map_err(|error| chain(&error))?;
            }
            TemplateEngine::Handlebars => {
                self.handlebars.render_template_to_write(text, context, &mut out).map_err(|error| chain(&error))?;
            }
        }
        Ok((name, out.0))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Output up to the limit.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other(format!("the result is larger than {} MiB", MAX_OUTPUT >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
