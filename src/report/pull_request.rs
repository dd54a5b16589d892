//! The text of a pull request: what the step says, then our section with versions, reasons and the diff of the rendered objects.

use std::collections::BTreeMap;

use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::manifest_diff::{Change, FileDiff};
use super::{markdown, words};
use crate::diagnostic::{Failure, FailureKind};
use crate::forge::RepositoryAddress;
use crate::model::{FreightReference, Image, StageName, VerifiedStage};

const TEMPLATE: &str = include_str!("../../templates/pull_request/section.md.j2");

/// What stands before our section: everything above it is the step's or a person's.
pub const MARKER: &str = "<!-- consign: what follows is written by consign -->";

/// Room for our section, in characters; GitHub takes 65,536 for all.
pub const LIMIT: usize = 60_000;

/// What a pull request is about.
#[derive(Clone, Copy, Debug)]
pub struct PullRequestText<'a> {
    /// The stage.
    pub stage: &'a StageName,
    /// Human name of the freight; its name, if it has none.
    pub alias: &'a str,
    /// What comes.
    pub freight: &'a FreightReference,
    /// What the stage has now of the same origin; None: nothing.
    pub previous: Option<&'a FreightReference>,
    /// Where the freight was verified.
    pub verified: &'a BTreeMap<StageName, VerifiedStage>,
    /// What caused the promotion: `auto`, `cli`, `event`, `rollback`.
    pub trigger: &'a str,
    /// Who asked for it; empty: nobody.
    pub actor: &'a str,
    /// Sentences that should not be overlooked, such as changes that somebody else made.
    pub notes: &'a [String],
    /// The files that change, object by object and without the values of Secrets.
    pub files: &'a [FileDiff],
}

#[derive(Serialize)]
struct Artifact {
    name: String,
    before: String,
    after: String,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    text: &'static str,
    url: String,
}

/// Our section, of at most `limit` characters; what does not fit is left out and counted.
///
/// # Errors
/// Internal, if the template is broken.
pub fn section(text: &PullRequestText<'_>, limit: usize) -> Result<String, Failure> {
    let (artifacts, why, notes) = (Serde(artifacts(text.previous, text.freight)), Serde(why(text)), Serde(text.notes));
    let mut rendered = markdown::environment()
        .render_str(TEMPLATE, context! { marker => MARKER, alias => text.alias, stage => text.stage.as_str(), artifacts, why, notes })
        .map_err(|error| Failure::new(FailureKind::Internal, "cannot write the text of a pull request").caused_by(error))?;
    let room = limit.saturating_sub(rendered.chars().count());
    rendered.push_str(&diff(text.files, room));
    Ok(rendered.chars().take(limit).collect())
}

/// A description with a section after it, in place of an earlier one.
pub fn with_section(description: &str, section: &str) -> String {
    let own = description.split(MARKER).next().unwrap_or_default().trim_end();
    if own.is_empty() { section.to_owned() } else { format!("{own}\n\n{section}") }
}

fn why(text: &PullRequestText<'_>) -> Vec<String> {
    let by = if text.actor.is_empty() { String::new() } else { format!(" by {}", text.actor) };
    let mut why = vec![match text.trigger {
        "auto" | "" => "promoted automatically: the newest freight that may enter".to_owned(),
        "rollback" => format!("a rollback, asked for{by}"),
        _ => format!("asked for{by}"),
    }];
    for (stage, verified) in text.verified {
        let since = verified.verified_at.map_or_else(String::new, |at| format!(" on {}", at.strftime("%Y-%m-%d %H:%M UTC")));
        let soak = verified.longest_soak.map_or_else(String::new, |soak| format!(", soaked {soak}"));
        why.push(format!("verified in {stage}{since}{soak}"));
    }
    if text.verified.is_empty() {
        why.push("not verified in any stage".to_owned());
    }
    why
}

/// Every artifact of both, by what it is; unchanged ones too, so that the table says what the stage will hold.
fn artifacts(previous: Option<&FreightReference>, freight: &FreightReference) -> Vec<Artifact> {
    let nothing = FreightReference::default();
    let previous = previous.unwrap_or(&nothing);
    let mut artifacts = Vec::new();
    for (old, new) in pairs(&previous.commits, &freight.commits, |commit| (commit.repo_url.clone(), commit.subscription_name.clone())) {
        let told = |commit: &crate::model::GitCommit| {
            let id = words::short(&commit.id);
            if commit.tag.is_empty() { id.to_owned() } else { format!("{} ({id})", commit.tag) }
        };
        let url = &old.or(new).map(|commit| commit.repo_url.clone()).unwrap_or_default();
        let links = links(url, old.map(|commit| commit.id.as_str()), new.map(|commit| commit.id.as_str()));
        artifacts.push(Artifact { name: place(url), before: old.map(told).unwrap_or_default(), after: new.map(told).unwrap_or_default(), links });
    }
    for (old, new) in pairs(&previous.images, &freight.images, |image| (image.repo_url.clone(), image.subscription_name.clone())) {
        let told = |image: &Image| {
            let digest = words::short(image.digest.trim_start_matches("sha256:"));
            if image.tag.is_empty() { digest.to_owned() } else { format!("{} ({digest})", image.tag) }
        };
        let links = match (source(old), source(new)) {
            (Some((old_url, old)), Some((url, new))) if old_url == url => links(url, Some(old), Some(new)),
            (_, Some((url, new))) => links(url, None, Some(new)),
            _ => Vec::new(),
        };
        let name = old.or(new).map(|image| image.repo_url.clone()).unwrap_or_default();
        artifacts.push(Artifact { name, before: old.map(told).unwrap_or_default(), after: new.map(told).unwrap_or_default(), links });
    }
    for (old, new) in pairs(&previous.charts, &freight.charts, |chart| (chart.repo_url.clone(), chart.name.clone())) {
        let told = |chart: &crate::model::Chart| chart.version.clone();
        let name =
            old.or(new).map(|chart| [chart.repo_url.as_str(), chart.name.as_str()].join("/").trim_end_matches('/').to_owned()).unwrap_or_default();
        artifacts.push(Artifact { name, before: old.map(told).unwrap_or_default(), after: new.map(told).unwrap_or_default(), links: Vec::new() });
    }
    for (old, new) in pairs(&previous.artifacts, &freight.artifacts, |artifact| (artifact.artifact_type.clone(), artifact.subscription_name.clone()))
    {
        let told = |artifact: &crate::model::ArtifactReference| artifact.version.clone();
        let name = old.or(new).map(|artifact| artifact.subscription_name.clone()).unwrap_or_default();
        artifacts.push(Artifact { name, before: old.map(told).unwrap_or_default(), after: new.map(told).unwrap_or_default(), links: Vec::new() });
    }
    artifacts
}

/// Old and new of one thing side by side, in the order of the new.
fn pairs<'a, T, K: Eq>(old: &'a [T], new: &'a [T], key: impl Fn(&T) -> K) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let mut pairs: Vec<(Option<&T>, Option<&T>)> = new.iter().map(|new| (old.iter().find(|old| key(old) == key(new)), Some(new))).collect();
    pairs.extend(old.iter().filter(|old| !new.iter().any(|new| key(new) == key(old))).map(|old| (Some(old), None)));
    pairs
}

/// What an image says it was built from: repository and commit.
fn source(image: Option<&Image>) -> Option<(&str, &str)> {
    let image = image?;
    Some((annotation(image, "source")?, annotation(image, "revision")?))
}

fn annotation<'i>(image: &'i Image, name: &str) -> Option<&'i str> {
    image.annotations.get(&format!("org.opencontainers.image.{name}")).map(String::as_str).filter(|value| !value.is_empty())
}

/// A repository in a few words.
fn place(url: &str) -> String {
    RepositoryAddress::parse(url).map_or_else(|| url.to_owned(), |address| format!("{}/{}", address.host, address.path))
}

/// Pages about the way from one commit to another.
fn links(url: &str, old: Option<&str>, new: Option<&str>) -> Vec<Link> {
    let is_commit = |id: &&str| id.len() >= 7 && id.chars().all(|c| c.is_ascii_hexdigit());
    let (old, new) = (old.filter(is_commit), new.filter(is_commit));
    let Some(address) = RepositoryAddress::parse(url) else { return Vec::new() };
    let Some(provider) = address.provider() else { return Vec::new() };
    let mut links = Vec::new();
    let mut link =
        |text: &'static str, page: Option<String>| links.extend(page.as_deref().and_then(markdown::link_target).map(|url| Link { text, url }));
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        link("compare", provider.compare_url(&address, old, new));
    }
    if let Some(new) = new {
        link("commit", provider.commit_url(&address, new));
    }
    links
}

/// One thing that differs: an object, or a file that holds none.
struct Block<'a> {
    name: String,
    namespace: &'a str,
    change: Change,
    diff: &'a str,
}

fn blocks(file: &FileDiff) -> Vec<Block<'_>> {
    if file.objects.is_empty() {
        return vec![Block { name: file.path.clone(), namespace: "", change: file.change, diff: &file.diff }];
    }
    let objects = file.objects.iter();
    objects
        .map(|object| Block {
            name: format!("{} {}", object.kind, object.name),
            namespace: &object.namespace,
            change: object.change,
            diff: &object.diff,
        })
        .collect()
}

/// The objects, each behind a line that can be opened; those that do not fit are counted.
fn diff(files: &[FileDiff], room: usize) -> String {
    let blocks: Vec<Block<'_>> = files.iter().flat_map(blocks).collect();
    if blocks.is_empty() {
        return String::new();
    }
    // Kept for the last line.
    const RESERVE: usize = 200;
    let mut text = format!("\n#### {}\n\n", count(blocks.len(), "object or file differs", "objects or files differ"));
    let mut used = text.chars().count();
    let mut left_out = 0;
    for block in &blocks {
        let block = folded(block);
        let size = block.chars().count();
        if used + size + RESERVE > room {
            left_out += 1;
            continue;
        }
        used += size;
        text.push_str(&block);
    }
    if left_out > 0 {
        let told = count(left_out, "difference does not fit here", "differences do not fit here");
        text.push_str(&format!("*{told}; the commits of this pull request have all of it.*\n"));
    }
    if text.chars().count() > room { String::new() } else { text }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn folded(block: &Block<'_>) -> String {
    let verb = match block.change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    };
    let namespace = if block.namespace.is_empty() { String::new() } else { format!(" in <code>{}</code>", html(block.namespace)) };
    // The names of the two sides are in the line above.
    let lines = block.diff.find("@@ ").filter(|_| block.diff.starts_with("--- ")).map_or(block.diff, |start| &block.diff[start..]);
    let starting = |sign: char| lines.lines().filter(|line| line.starts_with(sign)).count();
    // A fence longer than any in the text cannot be closed by it.
    let (mut longest, mut run) = (0, 0);
    for c in lines.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    let end = if lines.ends_with('\n') { "" } else { "\n" };
    format!(
        "<details><summary><code>{}</code>{namespace} {verb} (+{} −{})</summary>\n\n{fence}diff\n{}{end}{fence}\n\n</details>\n",
        html(&block.name),
        starting('+'),
        starting('-'),
        markdown::visible(lines),
    )
}

/// A text within an element of HTML.
fn html(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    markdown::visible(&text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::{FreightName, GitCommit};
    use crate::report::manifest_diff::{self, Side};

    fn freight(commit: &str, tag: &str, revision: &str) -> FreightReference {
        FreightReference {
            name: FreightName::new("f"),
            commits: vec![GitCommit { repo_url: "https://github.com/Acme/app.git".into(), id: commit.repeat(40), ..GitCommit::default() }],
            images: vec![Image {
                repo_url: "ghcr.io/acme/web".into(),
                tag: tag.into(),
                digest: format!("sha256:{}", commit.repeat(64)),
                annotations: BTreeMap::from([
                    ("org.opencontainers.image.source".to_owned(), "https://gitlab.com/acme/web".to_owned()),
                    ("org.opencontainers.image.revision".to_owned(), revision.repeat(40)),
                ]),
                ..Image::default()
            }],
            ..FreightReference::default()
        }
    }

    fn render(text: &PullRequestText<'_>, limit: usize) -> String {
        section(text, limit).unwrap()
    }

    #[test]
    fn it_says_what_changes_and_why() {
        let (old, new) = (freight("a", "v1", "c"), freight("b", "v2", "d"));
        let verified = BTreeMap::from([(
            StageName::new("test"),
            VerifiedStage { verified_at: Some("2026-01-02T03:04:05Z".parse().unwrap()), longest_soak: None },
        )]);
        let web = |version: &str| Side::Text(format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{v: '{version}'}}\n"));
        let files = [manifest_diff::file("web.yaml", &web("1"), &web("2"), &[])];
        let text = PullRequestText {
            stage: &StageName::new("prod"),
            alias: "green-fox",
            freight: &new,
            previous: Some(&old),
            verified: &verified,
            trigger: "cli",
            actor: "ada",
            notes: &["`env/prod/a.yaml` was changed by hand".to_owned()],
            files: &files,
        };
        insta::assert_snapshot!(render(&text, LIMIT), @r#"
        <!-- consign: what follows is written by consign -->
        ### green-fox to prod

        | artifact | before | after | |
        | --- | --- | --- | --- |
        | github.com/acme/app | aaaaaaa | bbbbbbb | [compare](https://github.com/acme/app/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) · [commit](https://github.com/acme/app/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) |
        | ghcr.io/acme/web | v1 (aaaaaaa) | v2 (bbbbbbb) | [compare](https://gitlab.com/acme/web/-/compare/cccccccccccccccccccccccccccccccccccccccc...dddddddddddddddddddddddddddddddddddddddd) · [commit](https://gitlab.com/acme/web/-/commit/dddddddddddddddddddddddddddddddddddddddd) |

        - asked for by ada
        - verified in test on 2026-01-02 03:04 UTC

        > [!WARNING]
        > \`env/prod/a.yaml\` was changed by hand


        #### 1 object or file differs

        <details><summary><code>ConfigMap web</code> changed (+1 −1)</summary>

        ```diff
        @@ -1,4 +1,4 @@
         apiVersion: v1
         kind: ConfigMap
         metadata: {name: web}
        -data: {v: '1'}
        +data: {v: '2'}
        ```

        </details>
        "#);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_rest_is_whole() {
        let long = Side::Text("a line that takes some room\n".repeat(20));
        let files: Vec<FileDiff> = (0..50).map(|number| manifest_diff::file(&format!("{number:02}.txt"), &Side::Absent, &long, &[])).collect();
        let new = freight("b", "v2", "d");
        let text = PullRequestText {
            stage: &StageName::new("prod"),
            alias: "green-fox",
            freight: &new,
            previous: None,
            verified: &BTreeMap::new(),
            trigger: "auto",
            actor: "",
            notes: &[],
            files: &files,
        };
        for limit in [100, 1_000, 5_000, 20_000] {
            let rendered = render(&text, limit);
            assert!(rendered.chars().count() <= limit, "{limit}");
            assert_eq!(rendered.matches("<details>").count(), rendered.matches("</details>").count(), "{limit}");
        }
        let rendered = render(&text, 5_000);
        let shown = rendered.matches("<details>").count();
        assert!(shown > 1 && shown < 50);
        assert!(
            rendered.ends_with(&format!("*{} differences do not fit here; the commits of this pull request have all of it.*\n", 50 - shown)),
            "{rendered}"
        );
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let mut new = freight("b", "v2](https://evil.example) @team", "d");
        new.images[0].annotations.insert("org.opencontainers.image.source".into(), "javascript://github.com/x/y".into());
        new.commits[0].repo_url = "https://git.example.com/a|b<script>".into();
        let odd = Side::Text("```\n<script>\n````\n\u{202e}hidden\n".into());
        let files = [manifest_diff::file("</summary><script>.txt", &Side::Absent, &odd, &[])];
        let text = PullRequestText {
            stage: &StageName::new("prod"),
            alias: "fox\n# heading",
            freight: &new,
            previous: None,
            verified: &BTreeMap::new(),
            trigger: "cli",
            actor: "@everyone",
            notes: &[],
            files: &files,
        };
        let rendered = render(&text, LIMIT);
        let (before, fenced) = rendered.split_once("`````diff\n").unwrap();
        assert!(!before.contains("<script>"), "{before}");
        assert!(
            !before.contains("](https://evil") && !before.contains("@team") && !before.contains("@everyone") && !before.contains("javascript:"),
            "{before}"
        );
        assert!(before.contains("### fox &#35; heading to prod"), "{before}");
        assert!(fenced.contains("\n`````\n") && !rendered.contains('\u{202e}'), "{fenced}");
    }

    #[test]
    fn a_section_takes_the_place_of_an_earlier_one() {
        let section = format!("{MARKER}\nnew");
        let first = with_section("What the step says\n", &section);
        assert_eq!(first, format!("What the step says\n\n{MARKER}\nnew"));
        assert_eq!(with_section(&first, &format!("{MARKER}\nnewer")), format!("What the step says\n\n{MARKER}\nnewer"));
        assert_eq!(with_section("", &section), section);
    }
}
