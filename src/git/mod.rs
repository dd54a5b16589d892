//! Git: the only room that runs `git` or opens a repository.
