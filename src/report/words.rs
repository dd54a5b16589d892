//! Short texts about domain values, used by every report.

use jiff::{SignedDuration, Timestamp};

use crate::model::{FreightReference, PromotionPhase};

/// The artifacts of a freight, one short text each: `web v1.2.0`, `web@3f2a1c9`, `nginx:1.27`, `chart 1.2.3`.
pub fn artifacts(freight: &FreightReference) -> Vec<String> {
    let mut texts = Vec::new();
    for commit in &freight.commits {
        let name = last_segment(&commit.repo_url);
        texts.push(if commit.tag.is_empty() { format!("{name}@{}", short(&commit.id)) } else { format!("{name} {}", commit.tag) });
    }
    for image in &freight.images {
        let name = last_segment(&image.repo_url);
        texts.push(if image.tag.is_empty() {
            format!("{name}@{}", short(image.digest.trim_start_matches("sha256:")))
        } else {
            format!("{name}:{}", image.tag)
        });
    }
    for chart in &freight.charts {
        let name = if chart.name.is_empty() { last_segment(&chart.repo_url) } else { &chart.name };
        texts.push(format!("{name} {}", chart.version));
    }
    for artifact in &freight.artifacts {
        texts.push(format!("{} {}", artifact.subscription_name, artifact.version));
    }
    texts
}

fn last_segment(url: &str) -> &str {
    url.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']).next().unwrap_or(url)
}

/// The first seven characters of a hash.
pub fn short(hash: &str) -> &str {
    hash.get(..7).unwrap_or(hash)
}

/// How long ago, coarsely: `3m`, `2h`, `5d`.
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    coarse(now.duration_since(then))
}

/// A duration as people say it, coarsely: `40s`, `3m`, `2h`, `5d`; never negative.
pub fn coarse(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A phase as users read it.
pub fn phase(phase: PromotionPhase) -> &'static str {
    match phase {
        PromotionPhase::Pending => "Pending",
        PromotionPhase::Running => "Running",
        PromotionPhase::Succeeded => "Succeeded",
        PromotionPhase::Failed => "Failed",
        PromotionPhase::Errored => "Errored",
        PromotionPhase::Aborted => "Aborted",
        PromotionPhase::Refused => "Refused",
    }
}

/// A text without line breaks and control characters, cut to a number of characters.
pub fn one_line(text: &str, limit: usize) -> String {
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).collect();
    if flat.chars().count() <= limit { flat } else { format!("{}…", flat.chars().take(limit.saturating_sub(1)).collect::<String>()) }
}
