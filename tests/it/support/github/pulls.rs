//! The pull requests of one repository, over its bare repository.

use serde_json::{Value, json};

use super::super::git_server::{Repository, sealed};
use super::Answer;
use super::contract::Contract;

/// How a person merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMethod {
    /// A merge commit.
    Merge,
    /// One new commit.
    Squash,
    /// The same commits once more.
    Rebase,
}

/// A pull request.
#[derive(Clone, Debug)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub head: String,
    pub base: String,
    pub draft: bool,
    pub open: bool,
    /// Where head and base stood when it was closed.
    closed_at: Option<(String, String)>,
    /// What the base became by its merge.
    pub merge_commit: Option<String>,
    pub labels: Vec<String>,
}

/// The pull requests of one repository.
pub struct Pulls {
    owner: String,
    name: String,
    repository: Repository,
    api: String,
    /// All of them, in order.
    pub all: Vec<Pull>,
    /// Why nothing may be merged now: a review is missing, a check has not passed.
    pub blocked: Option<String>,
    /// Ways to merge that the settings do not allow.
    pub forbidden_methods: Vec<String>,
    /// How often `mergeable_state` is still unknown when asked.
    pub unknown_for: u32,
}

impl Pulls {
    pub(super) fn new(full_name: &str, repository: Repository, api: String) -> Self {
        let (owner, name) = full_name.split_once('/').unwrap();
        Self {
            owner: owner.into(),
            name: name.into(),
            repository,
            api,
            all: Vec::new(),
            blocked: None,
            forbidden_methods: Vec::new(),
            unknown_for: 0,
        }
    }

    /// A pull request by its number.
    pub fn pull(&mut self, number: u64) -> &mut Pull {
        self.all.iter_mut().find(|pull| pull.number == number).unwrap()
    }

    /// A person merges; gives what the base is then.
    pub fn merge(&mut self, number: u64, method: MergeMethod) -> String {
        let pull = self.pull(number).clone();
        let (head, base) = (self.tip(&pull.head).unwrap(), self.tip(&pull.base).unwrap());
        let git = |args: &[&str]| self.repository.git(args);
        let title = format!("{} (#{number})", pull.title);
        let commit = match method {
            MergeMethod::Merge => {
                let tree = self.merged_tree(&base, &head).unwrap();
                git(&["commit-tree", &tree, "-p", &base, "-p", &head, "-m", &format!("Merge pull request #{number} from {}", pull.head)])
            }
            MergeMethod::Squash => {
                let tree = self.merged_tree(&base, &head).unwrap();
                git(&["commit-tree", &tree, "-p", &base, "-m", &title])
            }
            MergeMethod::Rebase => {
                let folder = tempfile::tempdir().unwrap();
                let place = folder.path().join("w");
                git(&["worktree", "add", "-q", "--detach", place.to_str().unwrap(), &head]);
                let run = |args: &[&str]| {
                    let output = sealed(&place).args(args).output().unwrap();
                    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
                    String::from_utf8(output.stdout).unwrap().trim().to_owned()
                };
                run(&["rebase", "-q", "--force-rebase", &base]);
                let commit = run(&["rev-parse", "HEAD"]);
                git(&["worktree", "remove", "--force", place.to_str().unwrap()]);
                commit
            }
        };
        git(&["update-ref", &format!("refs/heads/{}", pull.base), &commit, &base]);
        let pull = self.pull(number);
        (pull.open, pull.closed_at, pull.merge_commit) = (false, Some((head, base)), Some(commit.clone()));
        commit
    }

    /// A person opens one; gives its number.
    pub fn add(&mut self, head: &str, base: &str) -> u64 {
        let number = self.all.last().map_or(1, |pull| pull.number + 1);
        let (head, base) = (head.to_owned(), base.to_owned());
        let (title, body, labels) = (head.clone(), String::new(), Vec::new());
        self.all.push(Pull { number, title, body, head, base, draft: false, open: true, closed_at: None, merge_commit: None, labels });
        number
    }

    /// A person closes it unmerged.
    pub fn close(&mut self, number: u64) {
        let pull = self.pull(number).clone();
        let (head, base) = (self.tip(&pull.head).unwrap_or_default(), self.tip(&pull.base).unwrap_or_default());
        let pull = self.pull(number);
        (pull.open, pull.closed_at) = (false, Some((head, base)));
    }

    fn tip(&self, branch: &str) -> Option<String> {
        self.repository.tip(&format!("refs/heads/{branch}"))
    }

    /// The tree of a merge; None: a conflict.
    fn merged_tree(&self, base: &str, head: &str) -> Option<String> {
        let output: std::process::Output = sealed(self.repository.folder()).args(["merge-tree", "--write-tree", base, head]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned())
    }

    fn sides(&self, pull: &Pull) -> (String, String) {
        match &pull.closed_at {
            Some((head, base)) => (head.clone(), base.clone()),
            None => (self.tip(&pull.head).unwrap_or_default(), self.tip(&pull.base).unwrap_or_default()),
        }
    }

    /// GitHub's example with our state laid over it.
    fn payload(&self, pull: &Pull, mergeable: Option<(Value, &str)>) -> Value {
        let mut payload = Contract::get().example_pull();
        let (head, base) = self.sides(pull);
        let page = format!("https://github.test/{}/{}/pull/{}", self.owner, self.name, pull.number);
        let merged_at = pull.merge_commit.as_ref().map(|_| "2026-01-02T04:00:00Z");
        let label =
            |name: &String| json!({"id": 1, "node_id": "x", "url": self.api, "name": name, "description": "", "color": "ededed", "default": false});
        let state = json!({
            "number": pull.number,
            "url": format!("{}/repos/{}/{}/pulls/{}", self.api, self.owner, self.name, pull.number),
            "html_url": page,
            "title": pull.title,
            "body": pull.body,
            "draft": pull.draft,
            "locked": false,
            "state": if pull.open { "open" } else { "closed" },
            "labels": pull.labels.iter().map(label).collect::<Vec<_>>(),
            "created_at": format!("2026-01-02T03:{:02}:00Z", pull.number % 60),
            "closed_at": if pull.open { Value::Null } else { json!("2026-01-02T04:00:00Z") },
            "merged_at": merged_at,
            // While it is open GitHub shows a commit here that tries the merge.
            "merge_commit_sha": pull.merge_commit.clone().unwrap_or_else(|| "e5bd3914e2e596debea16f433f57875b5b90bcd6".to_owned()),
            "merged": merged_at.is_some(),
            "mergeable": mergeable.as_ref().map_or(Value::Null, |(mergeable, _)| mergeable.clone()),
            "mergeable_state": mergeable.as_ref().map_or("unknown", |(_, state)| *state),
        });
        for (field, value) in state.as_object().unwrap() {
            payload[field] = value.clone();
        }
        for (side, branch, sha) in [("head", &pull.head, head), ("base", &pull.base, base)] {
            payload[side]["label"] = json!(format!("{}:{branch}", self.owner));
            payload[side]["ref"] = json!(branch);
            payload[side]["sha"] = json!(sha);
        }
        payload
    }

    fn full(&mut self, number: u64) -> Option<Value> {
        let pull = self.all.iter().find(|pull| pull.number == number)?.clone();
        if !pull.open {
            return Some(self.payload(&pull, None));
        }
        if self.unknown_for > 0 {
            self.unknown_for -= 1;
            return Some(self.payload(&pull, None));
        }
        let (head, base) = self.sides(&pull);
        let state = if self.merged_tree(&base, &head).is_none() {
            (json!(false), "dirty")
        } else if pull.draft {
            (json!(true), "draft")
        } else if self.blocked.is_some() {
            (json!(true), "blocked")
        } else {
            (json!(true), "clean")
        };
        Some(self.payload(&pull, Some(state)))
    }

    pub(super) fn list(&self, query: &[(String, String)]) -> Answer {
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let state = value("state").unwrap_or("open");
        let mut found: Vec<&Pull> = self
            .all
            .iter()
            .filter(|pull| state == "all" || pull.open == (state == "open"))
            .filter(|pull| value("head").is_none_or(|head| head == format!("{}:{}", self.owner, pull.head)))
            .filter(|pull| value("base").is_none_or(|base| base == pull.base))
            .collect();
        if value("direction") != Some("asc") {
            found.reverse();
        }
        let per_page: usize = value("per_page").map_or(30, |number| number.parse().unwrap()).min(100);
        let page: usize = value("page").map_or(1, |number| number.parse().unwrap());
        let simple = Contract::get().fields_of("pull-request-simple");
        let part: Vec<Value> = found
            .iter()
            .skip((page - 1) * per_page)
            .take(per_page)
            .map(|pull| {
                let mut payload = self.payload(pull, None);
                payload.as_object_mut().unwrap().retain(|field, _| simple.contains(field));
                payload
            })
            .collect();
        let answer = Answer::new(200, json!(part));
        if found.len() > page * per_page {
            return answer.header("link", &format!("<{}/repos/{}/{}/pulls?page={}>; rel=\"next\"", self.api, self.owner, self.name, page + 1));
        }
        answer
    }

    pub(super) fn create(&mut self, body: &Value) -> Answer {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (head, base) = (text("head"), text("base"));
        for (field, branch) in [("head", &head), ("base", &base)] {
            if self.tip(branch).is_none() {
                return Answer::invalid(json!([{"resource": "PullRequest", "field": field, "code": "invalid"}]));
            }
        }
        let custom = |message: String| Answer::invalid(json!([{"resource": "PullRequest", "code": "custom", "message": message}]));
        if self.all.iter().any(|pull| pull.open && pull.head == head && pull.base == base) {
            return custom(format!("A pull request already exists for {}:{head}.", self.owner));
        }
        let ahead = self.repository.git(&["rev-list", "--count", &format!("refs/heads/{base}..refs/heads/{head}")]);
        if ahead == "0" {
            return custom(format!("No commits between {base} and {head}"));
        }
        let number = self.add(&head, &base);
        let pull = self.pull(number);
        (pull.title, pull.body, pull.draft) = (text("title"), text("body"), body["draft"] == true);
        let pull = self.all.last().unwrap();
        Answer::new(201, self.payload(pull, None))
    }

    pub(super) fn get(&mut self, number: u64) -> Answer {
        self.full(number).map_or_else(|| Answer::error(404, "Not Found"), |payload| Answer::new(200, payload))
    }

    pub(super) fn update(&mut self, number: u64, body: &Value) -> Answer {
        let Some(pull) = self.all.iter_mut().find(|pull| pull.number == number) else { return Answer::error(404, "Not Found") };
        if let Some(title) = body["title"].as_str() {
            pull.title = title.to_owned();
        }
        if let Some(text) = body["body"].as_str() {
            pull.body = text.to_owned();
        }
        if body["state"] == "closed" && pull.open {
            self.close(number);
        }
        self.get(number)
    }

    pub(super) fn put_merge(&mut self, number: u64, body: &Value) -> Answer {
        let Some(pull) = self.all.iter().find(|pull| pull.number == number).cloned() else { return Answer::error(404, "Not Found") };
        let method = body["merge_method"].as_str().unwrap_or("merge");
        let (head, base) = self.sides(&pull);
        if self.forbidden_methods.iter().any(|forbidden| forbidden == method) {
            let name = if method == "merge" { "Merge commits".to_owned() } else { format!("{}{} merges", method[..1].to_uppercase(), &method[1..]) };
            return Answer::error(405, &format!("{name} are not allowed on this repository."));
        }
        if !pull.open || pull.draft || self.merged_tree(&base, &head).is_none() {
            return Answer::error(405, "Pull Request is not mergeable");
        }
        if let Some(why) = &self.blocked {
            return Answer::error(405, why);
        }
        if body["sha"].as_str().is_some_and(|expected| expected != head) {
            return Answer::error(409, "Head branch was modified. Review and try the merge again.");
        }
        let method = match method {
            "squash" => MergeMethod::Squash,
            "rebase" => MergeMethod::Rebase,
            _ => MergeMethod::Merge,
        };
        let commit = self.merge(number, method);
        Answer::new(200, json!({"sha": commit, "merged": true, "message": "Pull Request successfully merged"}))
    }

    pub(super) fn add_labels(&mut self, number: u64, body: &Value) -> Answer {
        let Some(pull) = self.all.iter_mut().find(|pull| pull.number == number) else { return Answer::error(404, "Not Found") };
        for label in body["labels"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !pull.labels.iter().any(|known| known == label) {
                pull.labels.push(label.to_owned());
            }
        }
        let labels = pull.labels.clone();
        let label =
            |name: &String| json!({"id": 1, "node_id": "x", "url": self.api, "name": name, "description": "", "color": "ededed", "default": false});
        Answer::new(200, labels.iter().map(label).collect())
    }
}
