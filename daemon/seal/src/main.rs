//! `merlon-seal`: the one program that speaks to a TPM or loads a PKCS#11 module. It does one operation and ends.
fn main() {}
