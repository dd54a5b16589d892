//! The records that functions give, with the fields that expressions may use.

use std::sync::Arc;

use crate::expr::gotime::Time;
use crate::expr::value::{Field, FieldKind, Record, RecordType, Value};
use crate::model::{ArtifactReference, Chart, DiscoveredCommit, DiscoveredImage, GitCommit, Image, StepMetadata};

const fn text(name: &'static str, json: &'static str) -> Field {
    Field { name, json, kind: FieldKind::Text }
}

const fn field(name: &'static str, json: &'static str, kind: FieldKind) -> Field {
    Field { name, json, kind }
}

pub(super) static ORIGIN: RecordType =
    RecordType { name: "origin", fields: &[field("Kind", "kind", FieldKind::Named("origin kind")), text("Name", "name")], omit_empty: true };

pub(super) static COMMIT: RecordType = RecordType {
    name: "commit",
    fields: &[
        text("RepoURL", "repoURL"),
        text("ID", "id"),
        text("Branch", "branch"),
        text("Tag", "tag"),
        text("Message", "message"),
        text("Author", "author"),
        text("Committer", "committer"),
        text("SubscriptionName", "subscriptionName"),
    ],
    omit_empty: true,
};

pub(super) static IMAGE: RecordType = RecordType {
    name: "image",
    fields: &[
        text("RepoURL", "repoURL"),
        text("Tag", "tag"),
        text("Digest", "digest"),
        field("Annotations", "annotations", FieldKind::Texts),
        text("SubscriptionName", "subscriptionName"),
    ],
    omit_empty: true,
};

pub(super) static CHART: RecordType = RecordType {
    name: "chart",
    fields: &[text("RepoURL", "repoURL"), text("Name", "name"), text("Version", "version"), text("SubscriptionName", "subscriptionName")],
    omit_empty: true,
};

pub(super) static ARTIFACT: RecordType = RecordType {
    name: "artifact",
    fields: &[
        text("ArtifactType", "ArtifactType"),
        text("SubscriptionName", "SubscriptionName"),
        text("Version", "Version"),
        field("Metadata", "Metadata", FieldKind::Map),
    ],
    omit_empty: false,
};

pub(super) static DISCOVERED_COMMIT: RecordType = RecordType {
    name: "commit",
    fields: &[
        text("ID", "id"),
        text("Branch", "branch"),
        text("Tag", "tag"),
        text("Subject", "subject"),
        text("Author", "author"),
        text("Committer", "committer"),
        field("CreatorDate", "creatorDate", FieldKind::Time),
    ],
    omit_empty: true,
};

pub(super) static DISCOVERED_IMAGE: RecordType = RecordType {
    name: "image",
    fields: &[
        text("Tag", "tag"),
        text("Digest", "digest"),
        field("Annotations", "annotations", FieldKind::Texts),
        field("CreatedAt", "createdAt", FieldKind::Time),
    ],
    omit_empty: true,
};

pub(super) static DISCOVERED_CHART: RecordType =
    RecordType { name: "chart", fields: &[text("RepoURL", "repoURL"), text("Name", "name"), text("Version", "version")], omit_empty: true };

static STEP_META: RecordType = RecordType {
    name: "step metadata",
    fields: &[
        text("Alias", "alias"),
        field("StartedAt", "startedAt", FieldKind::Time),
        field("FinishedAt", "finishedAt", FieldKind::Time),
        field("ErrorCount", "errorCount", FieldKind::Any),
        text("Status", "status"),
        text("Message", "message"),
        field("ContinueOnError", "continueOnError", FieldKind::Any),
    ],
    omit_empty: true,
};

fn record(kind: &'static RecordType, values: Vec<Value>) -> Value {
    debug_assert_eq!(kind.fields.len(), values.len());
    Value::Record(Arc::new(Record { kind, values }))
}

fn time(time: Option<jiff::Timestamp>) -> Value {
    time.map_or(Value::Nil, |time| Value::Time(Time::utc(time)))
}

fn annotations(map: &std::collections::BTreeMap<String, String>) -> Value {
    Value::texts(map.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

pub(super) fn origin(name: &str) -> Value {
    record(&ORIGIN, vec!["Warehouse".into(), name.into()])
}

pub(super) fn commit(commit: &GitCommit) -> Value {
    let texts =
        [&commit.repo_url, &commit.id, &commit.branch, &commit.tag, &commit.message, &commit.author, &commit.committer, &commit.subscription_name];
    record(&COMMIT, texts.into_iter().map(|text| text.as_str().into()).collect())
}

pub(super) fn image(image: &Image) -> Value {
    let texts = |text: &String| Value::text(text.as_str());
    record(
        &IMAGE,
        vec![texts(&image.repo_url), texts(&image.tag), texts(&image.digest), annotations(&image.annotations), texts(&image.subscription_name)],
    )
}

pub(super) fn chart(chart: &Chart) -> Value {
    let texts = [&chart.repo_url, &chart.name, &chart.version, &chart.subscription_name];
    record(&CHART, texts.into_iter().map(|text| text.as_str().into()).collect())
}

pub(super) fn artifact(artifact: &ArtifactReference) -> Value {
    let metadata = match &artifact.metadata {
        Some(metadata) if !metadata.is_null() => Value::from_json(metadata),
        _ => Value::map(std::collections::BTreeMap::new()),
    };
    record(
        &ARTIFACT,
        vec![artifact.artifact_type.as_str().into(), artifact.subscription_name.as_str().into(), artifact.version.as_str().into(), metadata],
    )
}

pub(super) fn discovered_commit(commit: &DiscoveredCommit) -> Value {
    let texts = [&commit.id, &commit.branch, &commit.tag, &commit.subject, &commit.author, &commit.committer];
    let texts = texts.into_iter().map(|text| text.as_str().into());
    record(&DISCOVERED_COMMIT, texts.chain([time(commit.creator_date)]).collect())
}

pub(super) fn discovered_image(image: &DiscoveredImage) -> Value {
    record(&DISCOVERED_IMAGE, vec![image.tag.as_str().into(), image.digest.as_str().into(), annotations(&image.annotations), time(image.created_at)])
}

pub(super) fn discovered_chart(repo_url: &str, name: &str, version: &str) -> Value {
    record(&DISCOVERED_CHART, vec![repo_url.into(), name.into(), version.into()])
}

/// The record of a step, as `stepMetas.<alias>` shows it.
pub(in crate::expr) fn step_meta(meta: &StepMetadata) -> Value {
    record(
        &STEP_META,
        vec![
            meta.alias.as_str().into(),
            time(meta.started_at),
            time(meta.finished_at),
            Value::Int(meta.error_count.into()),
            meta.status.map_or("", crate::model::StepStatus::as_str).into(),
            meta.message.as_str().into(),
            Value::Bool(meta.continue_on_error),
        ],
    )
}
