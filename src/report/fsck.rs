//! What `consign fsck` found, for people.

use crate::ledger::fsck::Findings;

/// One line if all is well; else the problems by commit, oldest first.
pub fn render(findings: &Findings) -> String {
    let commits = match findings.commits {
        0 => return "there is no ledger yet\n".to_owned(),
        1 => "1 commit".to_owned(),
        many => format!("{many} commits"),
    };
    if findings.ok {
        return format!("the ledger is in order ({commits})\n");
    }
    let mut text = String::new();
    let mut last = "";
    for problem in &findings.problems {
        if problem.commit != last {
            text.push_str(&format!("commit {}\n", problem.commit));
            last = &problem.commit;
        }
        match problem.file.as_str() {
            "" => text.push_str(&format!("  {}\n", problem.message)),
            file => text.push_str(&format!("  {file}: {}\n", problem.message)),
        }
    }
    let problems = if findings.problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", findings.problems.len()) };
    text.push_str(&format!(
        "\n{problems} in {commits}\n\nhint: look at a commit with `git show`, and undo it with a new commit on the ledger's branch\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::fsck::Problem;

    #[test]
    fn problems_stand_below_the_commit_that_made_them() {
        let problem =
            |commit: &str, file: &str, message: &str| Problem { commit: commit.to_owned(), file: file.to_owned(), message: message.to_owned() };
        let problems = vec![
            problem("aaaa", "shop/stages/prod.yaml", "the freight history was rewritten"),
            problem("aaaa", "", "it is a merge; the ledger is never merged"),
            problem("bbbb", "x", "no file of the ledger lives here"),
        ];
        insta::assert_snapshot!(render(&Findings { ok: false, problems, commits: 7 }), @r"
        commit aaaa
          shop/stages/prod.yaml: the freight history was rewritten
          it is a merge; the ledger is never merged
        commit bbbb
          x: no file of the ledger lives here

        3 problems in 7 commits

        hint: look at a commit with `git show`, and undo it with a new commit on the ledger's branch
        ");
        assert_eq!(render(&Findings { ok: true, problems: Vec::new(), commits: 1 }), "the ledger is in order (1 commit)\n");
        assert_eq!(render(&Findings { ok: true, ..Findings::default() }), "there is no ledger yet\n");
    }
}
