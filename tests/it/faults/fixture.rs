//! Row J5: a folder written by version 0.1, kept for ever, and files of a version to come.
