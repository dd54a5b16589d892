//! `kustomize-set-image`: sets entries of a kustomization's `images`.
//!
//! The file is laid out anew the way kustomize's own writer does it, as in Kargo: lists not indented below their key, blank lines gone.
//! Comments, order, quotes and styles stay. Entries of `images` are sorted by name, and a comment moves with its entry. The result is read
//! again to prove that nothing but `images` has changed.

mod layout;

use granit_parser::ScalarStyle;

use self::layout::Layout;
use super::EditError;
use super::yaml::scalar;
use super::yaml::tree::{self, Entry, Kind, Node};

/// An image to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageUpdate {
    /// Name of its entry.
    pub name: String,
    /// Replacement of the name; empty: none, `*`: as it is.
    pub new_name: String,
    /// Tag; empty: none, `*`: as it is.
    pub tag: String,
    /// Digest; empty: none, `*`: as it is.
    pub digest: String,
}

/// A kustomization with its images set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The file.
    pub text: String,
    /// Every entry as `name[:tag][@digest]`, under the name that will be deployed; sorted by name of the entry.
    pub images: Vec<String>,
}

/// Fields of an entry, in the order in which kustomize writes them.
const FIELDS: [&str; 5] = ["name", "newName", "tagSuffix", "newTag", "digest"];

/// Sets images. An entry of the same name is replaced as a whole; of several updates of one name the last one wins.
///
/// # Errors
/// The text is not YAML, no mapping, of several documents, or its `images` are no list of entries; or it is written in a way that cannot be
/// laid out anew without changing something else.
pub fn set_images(text: &str, updates: &[ImageUpdate]) -> Result<Edited, EditError> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let document = tree::parse(&text, true)?;
    let invalid = |message: &str| EditError::Syntax { format: "kustomization", message: message.into() };
    if document.more {
        return Err(invalid("it holds several documents"));
    }
    let Some(root @ Node { kind: Kind::Mapping { entries, flow }, .. }) = &document.root else {
        return Err(invalid("it is not a mapping"));
    };
    let mut writing = Writing { layout: Layout::new(&text, &document.comments), updates, images: Vec::new() };
    let out = if *flow { writing.flow(root, entries)? } else { writing.block(entries)? };
    verify(root, &out)?;
    Ok(Edited { text: out, images: writing.images.iter().map(Image::reference).collect() })
}

fn is_images(entry: &Entry) -> bool {
    entry.key.scalar().is_some_and(|(key, _)| key == "images")
}

/// A kustomization on its way from the old text to the new one.
struct Writing<'a> {
    layout: Layout<'a>,
    updates: &'a [ImageUpdate],
    images: Vec<Image>,
}

impl Writing<'_> {
    fn block(&mut self, entries: &[Entry]) -> Result<String, EditError> {
        let mut out = String::new();
        let mut found = false;
        for entry in entries {
            self.layout.head(entry.key.start(), 0, &mut out);
            if !found && is_images(entry) {
                found = true;
                self.list(entry, &mut out)?;
            } else {
                self.layout.entry(entry, 0, &mut out)?;
            }
        }
        let (close, end) = self.layout.foot();
        if !close.is_empty() {
            out.push_str(&close);
            out.push('\n');
        }
        if !found {
            self.set();
            out.push_str("images:\n");
            out.push_str(&block_images(&self.images));
        }
        if !end.is_empty() {
            out.push('\n');
            out.push_str(&end);
        }
        Ok(out)
    }

    /// The `images` of a block mapping.
    fn list(&mut self, entry: &Entry, out: &mut String) -> Result<(), EditError> {
        let flow = matches!(entry.value.kind, Kind::Sequence { flow: true, .. });
        let mut behind = if flow { None } else { self.layout.behind(entry.key.span.end) };
        self.read(&entry.value)?;
        if flow {
            behind = self.layout.behind(entry.value.span.end);
        }
        self.set();
        out.push_str("images:");
        let behind = behind.map(|comment| format!(" {comment}")).unwrap_or_default();
        if flow {
            out.push_str(&format!(" {}{behind}\n", flow_images(&self.images)));
        } else {
            out.push_str(&format!("{behind}\n{}", block_images(&self.images)));
        }
        Ok(())
    }

    /// A kustomization in one pair of braces.
    fn flow(&mut self, root: &Node, entries: &[Entry]) -> Result<String, EditError> {
        let mut out = String::new();
        self.layout.head(root.span.start, 0, &mut out);
        let mut parts = Vec::new();
        let mut found = false;
        for entry in entries {
            if !found && is_images(entry) {
                found = true;
                self.read(&entry.value)?;
                self.set();
                parts.push(format!("images: {}", flow_images(&self.images)));
            } else {
                parts.push(self.layout.pair(entry)?);
            }
        }
        if !found {
            self.set();
            parts.push(format!("images: {}", flow_images(&self.images)));
        }
        // Comments between the members would have no place on the one line that is written.
        if !self.layout.above(root.span.end).is_empty() {
            return Err(EditError::Entangled);
        }
        out.push_str(&format!("{{{}}}\n", parts.join(", ")));
        let (close, end) = self.layout.foot();
        out.push_str([close, end].join("\n").trim_start());
        Ok(out)
    }

    fn read(&mut self, list: &Node) -> Result<(), EditError> {
        let (items, flow) = match &list.kind {
            _ if list.is_null() => return Ok(()),
            Kind::Sequence { items, flow } => (items, *flow),
            _ => return Err(EditError::Syntax { format: "kustomization", message: "its `images` are no list".into() }),
        };
        for item in items {
            self.images.push(Image::read(item, flow, &mut self.layout)?);
        }
        Ok(())
    }

    fn set(&mut self) {
        for update in self.updates {
            set(&mut self.images, update);
        }
        self.images.sort_by(|a, b| a.name().cmp(b.name()));
    }
}

/// An entry of `images`.
#[derive(Clone, Debug, Default)]
struct Image {
    /// Comment lines above it.
    above: Vec<String>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, Default)]
struct Field {
    key: String,
    /// What it means, for fields that kustomize knows.
    value: String,
    /// How it is written.
    written: String,
    /// Comment lines above it.
    above: Vec<String>,
    /// The comment behind it.
    behind: Option<String>,
}

impl Image {
    fn read(item: &Node, flow_list: bool, layout: &mut Layout<'_>) -> Result<Self, EditError> {
        let Kind::Mapping { entries, flow } = &item.kind else {
            return Err(EditError::Syntax { format: "kustomization", message: "an entry of its `images` is no mapping".into() });
        };
        let mut image = Self { above: layout.above(item.start()), fields: Vec::new() };
        for Entry { key, value } in entries {
            let above = layout.above(key.start());
            let (key, _) = key.scalar().ok_or(EditError::Entangled)?;
            let known = FIELDS.contains(&key);
            let (meaning, written) = match value.scalar() {
                _ if known && value.is_null() => (String::new(), String::new()),
                // kustomize reads these as text, whatever they look like; a bare number would be refused by its own reader.
                Some((meaning, _)) if known => (meaning.to_owned(), text(meaning, flow_list)),
                _ if known => {
                    return Err(EditError::Syntax { format: "kustomization", message: format!("`{key}` of an entry of its `images` is no text") });
                }
                _ => (String::new(), layout.inline(value)?),
            };
            let behind = layout.behind(value.span.end.max(value.start()));
            image.fields.push(Field { key: key.to_owned(), value: meaning, written, above, behind });
        }
        if *flow {
            image.above.extend(layout.behind(item.span.end));
        }
        image.fields.sort_by_key(|field| FIELDS.iter().position(|key| *key == field.key).unwrap_or(FIELDS.len()));
        Ok(image)
    }

    fn value(&self, key: &str) -> &str {
        self.fields.iter().find(|field| field.key == key).map_or("", |field| field.value.as_str())
    }

    fn name(&self) -> &str {
        self.value("name")
    }

    fn reference(&self) -> String {
        let mut reference = match self.value("newName") {
            "" => self.name().to_owned(),
            name => name.to_owned(),
        };
        for (mark, key) in [(':', "newTag"), ('@', "digest")] {
            if !self.value(key).is_empty() {
                reference.push(mark);
                reference.push_str(self.value(key));
            }
        }
        reference
    }

    /// The fields that are written; those that kustomize takes for unset are left out.
    fn written(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !(field.written.is_empty() && FIELDS.contains(&field.key.as_str())))
    }
}

/// A text as kustomize writes it.
fn text(text: &str, in_flow: bool) -> String {
    if scalar::reads_as_string(text) && scalar::is_plain(text, in_flow) { text.to_owned() } else { scalar::double_quoted(text) }
}

fn set(images: &mut Vec<Image>, update: &ImageUpdate) {
    let old = images.iter().position(|image| image.name() == update.name).map(|index| images.remove(index)).unwrap_or_default();
    // A list may name an image twice by mistake; the new entry stands for all of them.
    images.retain(|image| image.name() != update.name);
    let keep = |given: &str, key: &str| if given == "*" { old.value(key).to_owned() } else { given.to_owned() };
    let values = [
        ("name", update.name.clone()),
        ("newName", keep(&update.new_name, "newName")),
        ("newTag", keep(&update.tag, "newTag")),
        ("digest", keep(&update.digest, "digest")),
    ];
    let mut image = Image { above: old.above, fields: Vec::new() };
    let mut left: Vec<Field> = old.fields;
    for (key, value) in values.into_iter().filter(|(_, value)| !value.is_empty()) {
        let known = left.iter().position(|field| field.key == key).map(|index| left.remove(index)).unwrap_or_default();
        image.fields.push(Field { key: key.into(), written: text(&value, false), value, ..known });
    }
    // Fields go, what was said about them stays: behind the version if it now is a digest instead of a tag, else above the entry.
    for field in left {
        let version = ["newTag", "digest"].contains(&field.key.as_str());
        let free = image.fields.iter_mut().find(|new| version && ["newTag", "digest"].contains(&new.key.as_str()) && new.behind.is_none());
        match free {
            Some(new) => {
                new.above.extend(field.above);
                new.behind = field.behind;
            }
            None => image.above.extend(field.above.into_iter().chain(field.behind)),
        }
    }
    images.push(image);
}

fn block_images(images: &[Image]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    for image in images {
        image.above.iter().for_each(|comment| line(comment));
        for (index, field) in image.written().enumerate() {
            if index == 0 {
                field.above.iter().for_each(|comment| line(comment));
            } else {
                field.above.iter().for_each(|comment| line(&format!("  {comment}")));
            }
            let mark = if index == 0 { "- " } else { "  " };
            let behind = field.behind.as_ref().map(|comment| format!(" {comment}")).unwrap_or_default();
            let space = if field.written.is_empty() { "" } else { " " };
            line(&format!("{mark}{}:{space}{}{behind}", field.key, field.written));
        }
    }
    out
}

fn flow_images(images: &[Image]) -> String {
    let entries: Vec<String> = images
        .iter()
        .map(|image| {
            let fields: Vec<String> = image.written().map(|field| format!("{}: {}", field.key, flow_text(field))).collect();
            format!("{{{}}}", fields.join(", "))
        })
        .collect();
    format!("[{}]", entries.join(", "))
}

fn flow_text(field: &Field) -> String {
    if FIELDS.contains(&field.key.as_str()) { text(&field.value, true) } else { field.written.clone() }
}

/// Reads the result and compares it with what it was made from, `images` aside.
fn verify(before: &Node, after: &str) -> Result<(), EditError> {
    let after = tree::parse(after, false).map_err(|_| EditError::Entangled)?.root.ok_or(EditError::Entangled)?;
    let (Kind::Mapping { entries: before, .. }, Kind::Mapping { entries: after, .. }) = (&before.kind, &after.kind) else {
        return Err(EditError::Entangled);
    };
    fn others(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
        entries.iter().filter(|entry| entry.key.scalar().is_none_or(|(key, _)| key != "images"))
    }
    let same = others(before).count() == others(after).count()
        && others(before).zip(others(after)).all(|(before, after)| same(&before.key, &after.key) && same(&before.value, &after.value));
    if same { Ok(()) } else { Err(EditError::Entangled) }
}

fn same(before: &Node, after: &Node) -> bool {
    let property = |node: &Node| (node.anchor.as_ref().map(|one| one.name.clone()), node.tag.as_ref().map(|one| one.name.clone()));
    property(before) == property(after)
        && match (&before.kind, &after.kind) {
            (Kind::Scalar { text: before, style: old }, Kind::Scalar { text: after, style: new }) => {
                before == after && (*old == ScalarStyle::Plain) == (*new == ScalarStyle::Plain)
            }
            (Kind::Sequence { items: before, .. }, Kind::Sequence { items: after, .. }) => {
                before.len() == after.len() && before.iter().zip(after).all(|(before, after)| same(before, after))
            }
            (Kind::Mapping { entries: before, .. }, Kind::Mapping { entries: after, .. }) => {
                before.len() == after.len()
                    && before.iter().zip(after).all(|(before, after)| same(&before.key, &after.key) && same(&before.value, &after.value))
            }
            (Kind::Alias(before), Kind::Alias(after)) => before == after,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tag(name: &str, tag: &str) -> ImageUpdate {
        ImageUpdate { name: name.into(), tag: tag.into(), ..ImageUpdate::default() }
    }

    fn edited(text: &str, updates: &[ImageUpdate]) -> String {
        set_images(text, updates).unwrap().text
    }

    #[test]
    fn comments_move_with_their_image() {
        let text = "images:\n  # the web image\n  - name: web # w\n    # pinned\n    newTag: 1.1.0 # current\n  - name: api # a\n    newTag: '2'\n# patches\npatches: []\n";
        assert_eq!(
            edited(text, &[tag("web", "1.2.0")]),
            "images:\n- name: api # a\n  newTag: \"2\"\n# the web image\n- name: web # w\n  # pinned\n  newTag: 1.2.0 # current\n# patches\npatches: []\n"
        );
    }

    #[test]
    fn a_remark_about_a_tag_goes_to_the_digest_that_replaces_it() {
        let update = ImageUpdate { name: "web".into(), digest: "sha256:abc".into(), ..ImageUpdate::default() };
        assert_eq!(edited("images:\n- name: web\n  newTag: v1 # current\n", &[update]), "images:\n- name: web\n  digest: sha256:abc # current\n");
    }

    #[test]
    fn the_rest_keeps_its_meaning_and_comments() {
        let text = "# licence\n\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: # all\n    -   a.yaml   # a\n    # before b\n    - b.yaml\n    # after b\n\n\
                    patches:\n  - patch: |-\n      - op: add\n\n        path: /a\n    target: {kind: Service,  name: x}\n  - patch: >\n      folded\n      text\n\n      more\n\
                    common: &c {a: 1}\nother: *c\nnested:\n- - a\n  - b\n-\n  k: v\nplain: one\n  two\nempty:\nquoted: 'it''s'\ndouble: \"a\\n\\\n  b\"\nkeep: |+\n  x\n\n\
                    end: !t x # t\n\n# foot\n";
        let result = edited(text, &[tag("web", "1")]);
        insta::assert_snapshot!(result, @r#"
        # licence

        apiVersion: kustomize.config.k8s.io/v1beta1
        resources: # all
        - a.yaml # a
        # before b
        - b.yaml
        # after b

        patches:
        - patch: |-
            - op: add

              path: /a
          target: {kind: Service, name: x}
        - patch: >
            folded text

            more

        common: &c {a: 1}
        other: *c
        nested:
        - - a
          - b
        - k: v
        plain: one two
        empty:
        quoted: 'it''s'
        double: "a\nb"
        keep: |+
          x

        end: !t x # t
        images:
        - name: web
          newTag: "1"

        # foot
        "#);
        assert_eq!(edited(&result, &[tag("web", "1")]), result, "what is laid out stays as it is");
    }

    #[test]
    fn a_blank_line_stays_where_a_comment_belongs_to_what_is_above() {
        // Measured on kustomize's own writer.
        let list = "images:\n- name: a\n  newTag: v1\n";
        for (before, after) in [
            ("a: 1\n# of a\n\nb: 2\n", "a: 1\n# of a\n\nb: 2\n"),
            ("a: 1\n\n# of b\n\nb: 2\n", "a: 1\n# of b\nb: 2\n"),
            ("# top\n\n# of a\na: 1\n", "# top\n\n# of a\na: 1\n"),
            ("a: >\n  one\n  two\nb: 2\n", "a: >\n  one two\n\nb: 2\n"),
        ] {
            assert_eq!(edited(&format!("{before}{list}"), &[tag("a", "v1")]), format!("{after}{list}"));
        }
    }

    #[test]
    fn flow_stays_flow() {
        assert_eq!(
            edited("{resources: [a], images: [{name: b, newTag: x}]}", &[tag("a", "1.0")]),
            "{resources: [a], images: [{name: a, newTag: \"1.0\"}, {name: b, newTag: x}]}\n"
        );
        assert_eq!(edited("{resources: [a]}", &[tag("a", "v1")]), "{resources: [a], images: [{name: a, newTag: v1}]}\n");
        assert_eq!(edited("images: []\nx: 1", &[tag("a", "v1")]), "images: [{name: a, newTag: v1}]\nx: 1\n");
        assert_eq!(edited("images:\nx: 1", &[tag("a", "v1")]), "images:\n- name: a\n  newTag: v1\nx: 1\n");
    }

    #[test]
    fn what_is_no_kustomization_is_refused() {
        for text in [
            "",
            "# only this\n",
            "- a\n",
            "images: {a: b}\n",
            "images: x\n",
            "images: [x]\n",
            "a: 1\n---\nb: 2\n",
            "a: [\n",
            "images:\n- name: [a]\n",
        ] {
            assert!(set_images(text, &[tag("a", "v1")]).is_err(), "{text:?}");
        }
    }
}
