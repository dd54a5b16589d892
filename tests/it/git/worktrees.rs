//! Real working trees, and the lazy way beside them.

use consign::git::{CommitSpec, EntryKind, RefPattern, RefUpdate, StatusEntry, TreeEdit, Worktree};

use super::{World, signature};
use crate::support::git_server::run_git;

#[tokio::test]
async fn a_sparse_working_tree_is_filled_by_one_request_and_makes_the_same_commit_as_the_lazy_way() {
    let world = World::new();
    world.repository.commit(
        "main",
        "x",
        &[
            (".gitignore", Some("*.tmp\n")),
            (".gitattributes", Some("* text=auto\n")),
            ("apps/web/values.yaml", Some("tag: 1\n")),
            ("apps/web/old.yaml", Some("old\n")),
            ("apps/web/x [y]*.yaml", Some("odd\n")),
            ("apps/api/values.yaml", Some("tag: 7\n")),
            ("big.bin", Some("never needed\n")),
        ],
    );
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let head = store.resolve("main").unwrap().unwrap();
    let base = store.commit(head).unwrap().tree;
    world.server.take_requests();
    let folder = world.folder.path().join("work tree");
    let worktree = Worktree::add(&store, &folder, head, Some(&["apps/web".to_owned()])).await.unwrap();
    assert!(folder.join("apps/web/values.yaml").exists() && folder.join("apps/web/x [y]*.yaml").exists() && folder.join(".gitignore").exists());
    assert!(!folder.join("big.bin").exists() && !folder.join("apps/api").exists());
    assert_eq!(worktree.status().await.unwrap(), []);

    std::fs::write(folder.join("apps/web/values.yaml"), "tag: 2\r\n").unwrap();
    std::fs::write(folder.join("apps/web/new.yaml"), "new\n").unwrap();
    std::fs::write(folder.join("apps/web/noise.tmp"), "x").unwrap();
    std::fs::remove_file(folder.join("apps/web/old.yaml")).unwrap();
    let status = worktree.status().await.unwrap();
    let entry = |path: &str, index, folder| StatusEntry { path: path.into(), index, folder };
    assert_eq!(status, [entry("apps/web/old.yaml", ' ', 'D'), entry("apps/web/values.yaml", ' ', 'M'), entry("apps/web/new.yaml", '?', '?')]);
    worktree.remove_paths(&["apps/web/x [y]*.yaml".to_owned(), "no/such".to_owned()]).await.unwrap();
    worktree.stage(&["apps/web".to_owned()]).await.unwrap();
    let by_git = worktree.write_tree().await.unwrap();
    assert_eq!(world.server.take_requests().len(), 2, "one prefetch, nothing lazily");

    let rules = store.rules(base, &["apps/web/".to_owned()]).unwrap();
    assert!(rules.ignored("apps/web/noise.tmp", false));
    let put = |path: &str, content: &[u8]| TreeEdit::Put {
        path: path.to_owned(),
        kind: EntryKind::File,
        oid: store.write_blob(&rules.to_git(path, content, None).unwrap()).unwrap(),
    };
    let remove = |path: &str| TreeEdit::Remove { path: path.to_owned() };
    let edits =
        [put("apps/web/values.yaml", b"tag: 2\r\n"), put("apps/web/new.yaml", b"new\n"), remove("apps/web/old.yaml"), remove("apps/web/x [y]*.yaml")];
    assert_eq!(store.edit_tree(base, &edits).unwrap(), by_git);

    let spec = CommitSpec { tree: by_git, parents: vec![head], author: signature(), committer: signature(), message: "Bump", signer: None };
    let commit = store.write_commit(&spec).unwrap();
    worktree.set_head(commit).await.unwrap();
    assert_eq!(worktree.head().await.unwrap(), commit);
    assert_eq!(worktree.status().await.unwrap(), []);
    assert!(store.push(&[RefUpdate::forward("refs/heads/main", Some(head), commit)]).await.unwrap().landed());
    drop(worktree);
    assert!(!folder.exists());
    assert_eq!(run_git(store.folder(), &["worktree", "list", "--porcelain"], b"").matches("worktree ").count(), 1, "only the store itself");
}

#[tokio::test]
async fn a_commit_made_by_a_tool_is_seen_and_leftovers_are_cleaned() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b\n")), ("dir/c", Some("d\n"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let head = store.resolve("main").unwrap().unwrap();
    let folder = world.folder.path().join("tree");
    let worktree = Worktree::add(&store, &folder, head, None).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("dir/c")).unwrap(), "d\n");
    std::fs::write(folder.join("a"), "changed\n").unwrap();
    run_git(&folder, &["commit", "-qam", "by a tool"], b"");
    let commit = worktree.head().await.unwrap();
    assert_eq!(store.commit(commit).unwrap().subject(), "by a tool");
    assert!(store.push(&[RefUpdate::forward("refs/heads/main", Some(head), commit)]).await.unwrap().landed());
    // A killed process: the registration stays, locked as `worktree add` leaves it.
    std::fs::write(store.folder().join("worktrees/tree/locked"), "initializing").unwrap();
    std::mem::forget(worktree);
    let path = store.folder().to_owned();
    assert!(path.join("worktrees/tree").exists());
    let lock = path.with_extension("lock");
    assert!(lock.exists());
    // The lock is still held by the forgotten one: a second store must not touch what a living process uses.
    let second = world.store();
    assert!(path.join("worktrees/tree").exists() && second.folder() != path);
}
