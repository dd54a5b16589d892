//! Expressions: `${{ }}` templates, the language, coercion, functions. Pure.
