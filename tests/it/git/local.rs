//! Trees, commits, merges: what we write, read back by another library and by git itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use consign::git::{ChangeKind, CommitSpec, Conflict, EntryKind, Integration, Oid, RefPattern, Signer, Store, TagSpec, TreeEdit};

use super::{World, signature, write};
use crate::support::git_server::{run_git, sealed};

fn tree(store: &Store, files: &[(&str, &str)]) -> Oid {
    let edits: Vec<TreeEdit> = files
        .iter()
        .map(|(path, content)| TreeEdit::Put { path: (*path).to_owned(), kind: EntryKind::File, oid: store.write_blob(content.as_bytes()).unwrap() })
        .collect();
    store.edit_tree(Oid::empty_tree(), &edits).unwrap()
}

fn read(store: &Store, tree: Oid) -> BTreeMap<String, String> {
    store.list(tree, "").unwrap().into_iter().map(|entry| (entry.path, String::from_utf8(store.blob(entry.oid).unwrap()).unwrap())).collect()
}

#[tokio::test]
async fn trees_are_edited_beside_blobs_that_were_never_fetched() {
    let world = World::new();
    world.repository.commit("main", "x", &[("apps/web/a.yaml", Some("a\n")), ("apps/web/b.yaml", Some("b\n")), ("docs/x.md", Some("x\n"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let base = store.commit(store.resolve("main").unwrap().unwrap()).unwrap().tree;
    let blob = store.write_blob(b"new\n").unwrap();
    let edited = store
        .edit_tree(
            base,
            &[
                TreeEdit::Put { path: "apps/web/a.yaml".into(), kind: EntryKind::Executable, oid: blob },
                TreeEdit::Put { path: "apps/web/deep/er/c.yaml".into(), kind: EntryKind::File, oid: blob },
                TreeEdit::Remove { path: "docs/x.md".into() },
                TreeEdit::Remove { path: "no/such".into() },
                TreeEdit::Put { path: "apps/web/b.yaml/now-a-folder".into(), kind: EntryKind::File, oid: blob },
            ],
        )
        .unwrap();
    let paths: Vec<String> = store.list(edited, "").unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["apps/web/a.yaml", "apps/web/b.yaml/now-a-folder", "apps/web/deep/er/c.yaml"], "the emptied folder is gone");
    assert_eq!(store.entry(edited, "apps/web/a.yaml").unwrap().unwrap().kind, EntryKind::Executable);
    let kinds: Vec<(String, ChangeKind)> =
        store.diff_trees(base, edited).unwrap().into_iter().map(|change| (change.path.clone(), change.kind())).collect();
    assert_eq!(
        kinds,
        [
            ("apps/web/a.yaml".into(), ChangeKind::Modified),
            ("apps/web/b.yaml".into(), ChangeKind::Deleted),
            ("apps/web/b.yaml/now-a-folder".into(), ChangeKind::Added),
            ("apps/web/deep/er/c.yaml".into(), ChangeKind::Added),
            ("docs/x.md".into(), ChangeKind::Deleted),
        ]
    );
    assert_eq!(store.edit_tree(base, &[]).unwrap(), base);
    let nothing = store.edit_tree(base, &[TreeEdit::Remove { path: "apps".into() }, TreeEdit::Remove { path: "docs".into() }]).unwrap();
    assert_eq!(nothing, Oid::empty_tree());
    let commit = CommitSpec { tree: nothing, parents: vec![], author: signature(), committer: signature(), message: "empty", signer: None };
    let commit = store.write_commit(&commit).unwrap();
    let pushed = store.push(&[consign::git::RefUpdate::forward("refs/heads/empty", None, commit)]).await.unwrap();
    assert!(pushed.landed());
    assert_eq!(world.repository.git(&["ls-tree", "-r", "empty"]), "");
}

#[tokio::test]
async fn another_library_reads_what_we_wrote_and_the_same_input_makes_the_same_commit() {
    let world = World::new();
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let first = write(&store, None, "a/b.txt", "hello\n");
    assert_eq!(first, write(&store, None, "a/b.txt", "hello\n"));
    let mut author = signature();
    author.offset = 7200;
    author.name = "Ada <Lovelace>\n".into();
    let spec = CommitSpec {
        tree: store.commit(first).unwrap().tree,
        parents: vec![first],
        author,
        committer: signature(),
        message: "Subject\n\n\n\nBody  \n\nConsign-Stage: test",
        signer: None,
    };
    let second = store.write_commit(&spec).unwrap();
    let reader = git2::Repository::open_bare(store.folder()).unwrap();
    let commit = reader.find_commit(git2::Oid::from_str(&second.to_string()).unwrap()).unwrap();
    assert_eq!(commit.message().unwrap(), "Subject\n\nBody\n\nConsign-Stage: test\n");
    assert_eq!(commit.author().name().unwrap(), "Ada Lovelace");
    assert_eq!((commit.author().when().seconds(), commit.author().when().offset_minutes()), (1_767_323_045, 120));
    let entry = commit.tree().unwrap().get_path(std::path::Path::new("a/b.txt")).unwrap();
    assert_eq!(reader.find_blob(entry.id()).unwrap().content(), b"hello\n");
    run_git(store.folder(), &["fsck", "--strict"], b"");

    assert!(store.is_ancestor(first, second).unwrap() && !store.is_ancestor(second, first).unwrap());
    let side = write(&store, Some(first), "side", "x");
    assert_eq!(store.merge_base(second, side).unwrap(), Some(first));
    let unrelated = write(&store, None, "other", "x");
    assert_eq!(store.merge_base(second, unrelated).unwrap(), None);
    let mut seen = Vec::new();
    store
        .walk(&[second, side], &[first], |commit| {
            seen.push(commit.id);
            ControlFlow::Continue(())
        })
        .unwrap();
    seen.sort();
    let mut expected = vec![second, side];
    expected.sort();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn tags_and_ssh_signatures_satisfy_git() {
    let world = World::new();
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let key = world.folder.path().join("key");
    let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(&key).status();
    if !made.is_ok_and(|status| status.success()) {
        panic!("this test needs ssh-keygen (openssh-client)");
    }
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = world.folder.path().join("signers");
    std::fs::write(&signers, format!("consign@example.com {public}")).unwrap();
    let signer = Signer::Ssh { key: key.display().to_string(), program: None };
    let blob_tree = tree(&store, &[("a", "b")]);
    let spec = CommitSpec { tree: blob_tree, parents: vec![], author: signature(), committer: signature(), message: "signed", signer: Some(&signer) };
    let commit = store.write_commit(&spec).unwrap();
    assert_eq!(commit, store.write_commit(&spec).unwrap(), "an Ed25519 signature is deterministic");
    let tag = TagSpec { name: "v1", target: commit, tagger: signature(), message: "Release", signer: Some(&signer) };
    let tag = store.write_tag(&tag).unwrap();
    for (verb, oid) in [("verify-commit", commit), ("verify-tag", tag)] {
        let verified = sealed(store.folder())
            .args(["-c", "gpg.format=ssh", "-c", &format!("gpg.ssh.allowedSignersFile={}", signers.display()), verb, &oid.to_string()])
            .output()
            .unwrap();
        assert!(verified.status.success(), "{verb}: {}", String::from_utf8_lossy(&verified.stderr));
    }
    let push = store.push(&[consign::git::RefUpdate::forward("refs/tags/v1", None, tag)]).await.unwrap();
    assert!(push.landed());
    assert_eq!(world.repository.tip("refs/tags/v1^{commit}").unwrap(), commit.to_string());
    assert_eq!(store.resolve("v1").unwrap(), Some(commit));
    let read = store.annotation(tag).unwrap().unwrap();
    assert_eq!((read.target, read.tagger.unwrap(), read.message.as_str()), (commit, signature(), "Release\n"), "without the signature below it");
    assert_eq!(store.annotation(commit).unwrap(), None);
}

#[tokio::test]
async fn trees_merge_by_path_and_by_line() {
    let world = World::new();
    let store = world.store();
    let base = tree(&store, &[("f", "1\n2\n3\n4\n5\n"), ("gone", "x"), ("d/a", "a"), ("d/b", "b"), ("same", "s")]);
    let ours = tree(&store, &[("f", "one\n2\n3\n4\n5\n"), ("gone", "x"), ("d/a", "a"), ("d/b", "B"), ("same", "S"), ("ours", "o")]);
    let theirs = tree(&store, &[("f", "1\n2\n3\n4\nfive\n"), ("d/a", "A"), ("d/b", "b"), ("same", "S"), ("theirs/new", "t")]);
    let merge = store.merge_trees(base, ours, theirs).await.unwrap();
    assert!(merge.conflicts.is_empty(), "{:?}", merge.conflicts);
    let merged: Vec<(String, String)> = read(&store, merge.tree).into_iter().collect();
    let merged: Vec<(&str, &str)> = merged.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    assert_eq!(merged, [("d/a", "A"), ("d/b", "B"), ("f", "one\n2\n3\n4\nfive\n"), ("ours", "o"), ("same", "S"), ("theirs/new", "t")]);

    let ours = tree(&store, &[("f", "X\n2\n3\n4\n5\n"), ("d/a", "changed"), ("d/b", "b"), ("same", "s"), ("new", "1"), ("gone/file", "x")]);
    let theirs = tree(&store, &[("f", "Y\n2\n3\n4\n5\n"), ("same", "s"), ("new", "2"), ("gone", "y")]);
    let merge = store.merge_trees(base, ours, theirs).await.unwrap();
    let conflicts: Vec<(&str, Conflict)> = merge.conflicts.iter().map(|(path, conflict)| (path.as_str(), *conflict)).collect();
    assert_eq!(conflicts, [("d/a", Conflict::DeletedAndChanged), ("f", Conflict::Content), ("gone", Conflict::Kind), ("new", Conflict::BothAdded)]);
    assert_eq!(store.file(merge.tree, "f").unwrap().unwrap(), b"X\n2\n3\n4\n5\n", "conflicts keep ours");
}

#[tokio::test]
async fn a_merge_fetches_only_the_files_both_sides_changed() {
    let world = World::new();
    let one = world.repository.commit("main", "x", &[("f", Some("1\n2\n3\n")), ("big", Some("never needed"))]);
    world.repository.git(&["branch", "side", &one]);
    world.repository.commit("main", "y", &[("f", Some("one\n2\n3\n"))]);
    world.repository.commit("side", "z", &[("f", Some("1\n2\nthree\n"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let tree_of = |name: &str| store.commit(store.resolve(name).unwrap().unwrap()).unwrap().tree;
    let base = store.commit(one.parse().unwrap()).unwrap().tree;
    world.server.take_requests();
    let merge = store.merge_trees(base, tree_of("main"), tree_of("side")).await.unwrap();
    assert_eq!(store.file(merge.tree, "f").unwrap().unwrap(), b"one\n2\nthree\n");
    assert_eq!(world.server.take_requests().len(), 2, "three versions in one request");
    assert!(!store.has(store.entry(merge.tree, "big").unwrap().unwrap().oid));
}

#[tokio::test]
async fn our_commits_go_onto_what_others_pushed() {
    let world = World::new();
    let store = world.store();
    let base = write(&store, None, "values.yaml", "tag: 1\n");
    let mine_1 = write(&store, Some(base), "a", "1\n");
    let mine_2 = write(&store, Some(mine_1), "a", "2\n");
    let theirs = write(&store, Some(base), "b", "b\n");
    let Integration::Done(tip) = store.rebase(mine_2, theirs, None).await.unwrap() else { panic!("no conflict here") };
    let (second, first) = (store.commit(tip).unwrap(), store.commit(store.commit(tip).unwrap().parents[0]).unwrap());
    assert_eq!(first.parents, [theirs]);
    assert_eq!(read(&store, first.tree), [("a", "1\n"), ("b", "b\n"), ("values.yaml", "tag: 1\n")].map(|(p, c)| (p.into(), c.into())).into());
    assert_eq!(store.file(second.tree, "a").unwrap().unwrap(), b"2\n");
    assert_eq!(store.rebase(mine_2, theirs, None).await.unwrap(), Integration::Done(tip), "deterministic");

    assert_eq!(store.rebase(mine_1, base, None).await.unwrap(), Integration::Done(mine_1), "nothing new on their side");
    assert_eq!(store.rebase(base, theirs, None).await.unwrap(), Integration::Done(theirs), "nothing of ours");
    let (same, also) = (write(&store, Some(base), "values.yaml", "tag: 2\n"), write(&store, Some(theirs), "values.yaml", "tag: 2\n"));
    assert_eq!(store.rebase(same, also, None).await.unwrap(), Integration::Done(also), "the same change is dropped");
    let other = write(&store, Some(base), "values.yaml", "tag: 3\n");
    let Integration::Conflict { commit, paths } = store.rebase(same, other, None).await.unwrap() else { panic!("a conflict") };
    assert_eq!((commit, paths.keys().next().unwrap().as_str()), (same, "values.yaml"));

    let Integration::Done(merge) = store.merge_commits(mine_2, theirs, &signature(), "Merge", None).await.unwrap() else {
        panic!("no conflict here")
    };
    assert_eq!(store.commit(merge).unwrap().parents, [mine_2, theirs]);
    assert!(matches!(store.merge_commits(same, other, &signature(), "Merge", None).await.unwrap(), Integration::Conflict { .. }));
    let unrelated = write(&store, None, "x", "y");
    assert_eq!(store.merge_commits(same, unrelated, &signature(), "Merge", None).await.unwrap(), Integration::Unrelated);
    assert_eq!(store.merge_commits(mine_1, base, &signature(), "Merge", None).await.unwrap(), Integration::Done(mine_1));
}

#[tokio::test]
async fn git_rebases_to_the_same_trees() {
    let world = World::new();
    let store = world.store();
    // A chain of edits to one file on both sides, each to its own lines.
    let lines = |edits: &[(usize, &str)]| {
        let mut lines: Vec<String> = (0..40).map(|n| format!("line {n}\n")).collect();
        edits.iter().for_each(|(n, text)| lines[*n] = format!("{text}\n"));
        lines.concat()
    };
    let base = write(&store, None, "f", &lines(&[]));
    let one = write(&store, Some(base), "f", &lines(&[(3, "mine 3")]));
    let two = write(&store, Some(one), "f", &lines(&[(3, "mine 3"), (20, "mine 20")]));
    let theirs = write(&store, Some(base), "f", &lines(&[(10, "their 10"), (35, "their 35")]));
    let Integration::Done(tip) = store.rebase(two, theirs, None).await.unwrap() else { panic!("no conflict here") };
    let folder = world.folder.path().join("git");
    run_git(store.folder(), &["worktree", "add", "-q", "--detach", folder.to_str().unwrap(), &two.to_string()], b"");
    run_git(&folder, &["rebase", "-q", &theirs.to_string()], b"");
    assert_eq!(run_git(&folder, &["rev-parse", "HEAD^{tree}"], b""), store.commit(tip).unwrap().tree.to_string());
}
