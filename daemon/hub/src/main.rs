//! `merlon-hub`: an OAuth 2.0 authorization server for instances and their people. This file wires only.

mod accounts;
mod api;
mod app;
mod arrival;
mod clients;
mod clock;
mod issuer;
mod keys;
mod limits;
mod log;
mod oauth;
mod pages;
mod random;
mod routes;
mod store;

fn main() {}
