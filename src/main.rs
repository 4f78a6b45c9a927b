//! Parses the arguments, runs, and prints the chain of an error once.

fn main() {}
