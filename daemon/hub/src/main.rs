//! `merlon-hub`: an OAuth 2.0 authorization server for instances and their people. This file wires only.

fn main() {}
