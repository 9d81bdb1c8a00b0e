//! The real `merlon-dialer`, driven over its sockets. All traffic stays on loopback.

mod connects;
mod links;
mod refuses;
mod running;
mod starts;
