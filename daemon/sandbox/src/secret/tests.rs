use super::*;

#[test]
fn a_secret_is_what_was_put_in_and_starts_as_zero() {
    assert_eq!(Secret::<32>::zeroed().unwrap().expose(), &[0; 32]);
    let secret = Secret::init(|bytes: &mut [u8; 32]| bytes.fill(7)).unwrap();
    assert_eq!(secret.expose(), &[7; 32]);
    let failed = Secret::<32>::try_init(|_| Err(SecretError::TooLate));
    assert!(matches!(failed, Err(SecretError::TooLate)));
}

#[test]
fn random_secrets_differ_and_compare() {
    let (a, b) = (Secret::<32>::random().unwrap(), Secret::<32>::random().unwrap());
    assert!(!a.ct_eq(&b));
    let copy = Secret::init(|bytes| *bytes = *a.expose()).unwrap();
    assert!(a.ct_eq(&copy));
    assert!(ct_eq(b"abc", b"abc") && !ct_eq(b"abc", b"abd") && !ct_eq(b"abc", b"ab"));
}

#[test]
fn a_buffer_shows_its_length_and_wipes_on_clear() {
    let mut buffer = SecretBuf::with_capacity(10_000).unwrap();
    assert!(buffer.is_empty() && buffer.capacity() == 10_000);
    buffer.as_full_mut_slice()[..4].copy_from_slice(b"abcd");
    buffer.set_len(4);
    assert_eq!(buffer.as_slice(), b"abcd");
    buffer.clear();
    assert!(buffer.is_empty());
    assert!(buffer.as_full_mut_slice().iter().all(|byte| *byte == 0));
    assert_eq!(SecretBuf::from_slice(b"xyz").unwrap().as_slice(), b"xyz");
    assert_eq!(SecretBuf::with_capacity(0).unwrap().as_slice(), b"");
}

#[test]
#[should_panic(expected = "a length of 11 in a secret buffer of 10")]
fn a_buffer_does_not_grow() {
    SecretBuf::with_capacity(10).unwrap().set_len(11);
}

#[test]
fn both_backends_give_the_whole_length_and_the_pages_go_back() {
    for backend in [Backend::Locked, backend()] {
        for len in [1, 4096, 4097, 100_000] {
            let mut region = Region::with_backend(backend, len).unwrap();
            region.as_mut_slice().fill(1);
            assert_eq!(region.as_slice().len(), len);
        }
    }
}

#[test]
fn a_page_that_is_used_again_is_wiped() {
    let places: Vec<*const u8> = (0..40)
        .map(|_| {
            let secrets = [Secret::<32>::zeroed().unwrap(), Secret::<32>::zeroed().unwrap()];
            assert!(secrets.iter().all(|secret| secret.expose() == &[0; 32]));
            let [mut first, second] = secrets;
            first.expose_mut().fill(0xff);
            assert_eq!(second.expose(), &[0; 32]);
            first.expose().as_ptr()
        })
        .collect();
    // Whatever other tests do at the same time, forty pairs did not take forty new pages.
    assert!(places.iter().collect::<std::collections::HashSet<_>>().len() < 40);
}

#[test]
fn many_secrets_live_at_once() {
    let secrets: Vec<_> = (0..50).map(|at: u8| Secret::init(|bytes: &mut [u8; 8]| bytes.fill(at)).unwrap()).collect();
    assert!(secrets.iter().zip(0..).all(|(secret, at)| secret.expose() == &[at; 8]));
}
