//! A `merlon-seal` that is none, and the parent that starts it: a thread that keeps in memory what a TPM or a token would
//! seal, and fails as it is told.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use merlon_sandbox::seqpacket;
use merlon_wire::parent::{SealAnswer, SealAsk};
use merlon_wire::seal::{Failure, Mechanism, Pcr, Pkcs11Object, Request, Response, Tpm2Object, Tpm2Report};
use merlon_wire::{MAX_FRAME, decode, encode};

/// How it behaves.
#[derive(Clone)]
pub(crate) enum Mood {
    /// As a TPM does.
    Works,
    /// Every request fails so.
    Fails(Failure),
    /// It never answers.
    Hangs,
    /// It ends without an answer.
    Dies,
    /// It answers with bytes that mean nothing.
    Garbage,
    /// It answers another question.
    OtherAnswer,
    /// The parent cannot start it.
    NotStarted,
}

/// What was sealed, and under which conditions.
pub(crate) struct Kept {
    pub(crate) secret: Vec<u8>,
    pub(crate) auth: Vec<u8>,
    values: Vec<Pcr>,
    policy_key: Vec<u8>,
}

pub(crate) struct State {
    pub(crate) mood: Mood,
    /// The requests so far, by name.
    pub(crate) asked: Vec<&'static str>,
    /// By the private part of the object, or the ciphertext.
    pub(crate) kept: HashMap<Vec<u8>, Kept>,
    pub(crate) pcrs: [[u8; 32]; 24],
    pub(crate) srk_name: Vec<u8>,
    /// The PIN of the token, and that of the configuration.
    pub(crate) token_pin: Vec<u8>,
    pub(crate) configured_pin: Option<Vec<u8>>,
    /// `force` of the last request that has it.
    pub(crate) forced: bool,
    /// What `Sealed` says.
    pub(crate) notes: Vec<String>,
    /// Connections that are never answered.
    held: Vec<OwnedFd>,
}

pub(crate) struct FakeSeal {
    state: Arc<Mutex<State>>,
    /// The keeper's end of the parent's pair.
    pub(crate) keeper: OwnedFd,
}

impl FakeSeal {
    pub(crate) fn new() -> Self {
        let (parent, keeper) = seqpacket::pair().unwrap();
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Works,
            asked: Vec::new(),
            kept: HashMap::new(),
            pcrs: [[7; 32]; 24],
            srk_name: vec![0, 11, 1, 2, 3],
            token_pin: b"1234".to_vec(),
            configured_pin: None,
            forced: false,
            notes: Vec::new(),
            held: Vec::new(),
        }));
        let theirs = Arc::clone(&state);
        thread::spawn(move || act(&parent, &theirs));
        Self { state, keeper }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Connections that were never answered end.
    pub(crate) fn let_go(&self) {
        self.state().held.clear();
    }

    /// The requests since the last time.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().asked)
    }
}

/// What a policy key signs for these values.
pub(crate) fn policy_of(values: &[Pcr]) -> [u8; 32] {
    let bytes: Vec<u8> = values.iter().flat_map(|pcr| [pcr.index].into_iter().chain(pcr.value)).collect();
    digest(&SHA256, &bytes).as_ref().try_into().unwrap()
}

/// The parent: until the last keeper has gone.
fn act(parent: &OwnedFd, state: &Mutex<State>) {
    let mut frame = vec![0; MAX_FRAME];
    loop {
        let received = seqpacket::recv(parent, &mut frame).unwrap();
        if received.len == 0 {
            return;
        }
        let SealAsk::Open = decode(&frame[..received.len]).unwrap();
        if matches!(state.lock().unwrap().mood, Mood::NotStarted) {
            let used = encode(&SealAnswer::Failed("merlon-seal is not installed".into()), &mut frame).unwrap();
            seqpacket::send(parent, &frame[..used], None).unwrap();
            continue;
        }
        let (ours, theirs) = seqpacket::pair().unwrap();
        let used = encode(&SealAnswer::Opened, &mut frame).unwrap();
        seqpacket::send(parent, &frame[..used], Some(theirs.as_fd())).unwrap();
        drop(theirs);
        serve(ours, &mut state.lock().unwrap());
    }
}

/// One operation.
pub(crate) fn serve(socket: OwnedFd, state: &mut State) {
    let mut frame = vec![0; MAX_FRAME];
    let received = seqpacket::recv(&socket, &mut frame).unwrap();
    if received.len == 0 {
        return;
    }
    let request: Request<'_> = decode(&frame[..received.len]).unwrap();
    state.asked.push(match &request {
        Request::Seal(_) => "Seal",
        Request::Unseal(_) => "Unseal",
        Request::Describe { .. } => "Describe",
        Request::Wrap(_) => "Wrap",
        Request::Unwrap(_) => "Unwrap",
        _ => "about a counter",
    });
    let secret;
    let response = match state.mood.clone() {
        Mood::Works => match operate(&request, state) {
            Ok(Done::Response(response)) => response,
            Ok(Done::Secret(bytes)) => {
                secret = bytes;
                Response::Secret { secret: &secret }
            }
            Err(failure) => Response::Failed(failure),
        },
        Mood::Fails(failure) => Response::Failed(failure),
        Mood::OtherAnswer => Response::Done,
        Mood::Garbage => {
            seqpacket::send(&socket, &[0xff; 40], None).unwrap();
            return;
        }
        Mood::Hangs => {
            state.held.push(socket);
            return;
        }
        Mood::Dies | Mood::NotStarted => return,
    };
    let mut answer = vec![0; MAX_FRAME];
    let used = encode(&response, &mut answer).unwrap();
    // The keeper may have been killed meanwhile.
    let _ = seqpacket::send(&socket, &answer[..used], None);
}

enum Done {
    Response(Response<'static>),
    Secret(Vec<u8>),
}

fn operate(request: &Request<'_>, state: &mut State) -> Result<Done, Failure> {
    let values = |pcrs: &[u8], state: &State| -> Vec<Pcr> {
        pcrs.iter().map(|index| Pcr { index: *index, value: state.pcrs[usize::from(*index)] }).collect()
    };
    let serial = u64::try_from(state.kept.len()).unwrap() + 1;
    match request {
        Request::Seal(seal) => {
            let pcrs = values(&seal.pcrs.clone().unwrap_or(vec![7]), state);
            let private = [b"private".as_slice(), &serial.to_be_bytes()].concat();
            let (auth, policy_key) = (seal.auth.to_vec(), seal.policy_key.to_vec());
            let pin = !auth.is_empty();
            let secret = seal.secret.to_vec();
            let kept = Kept { secret, auth, values: pcrs.clone(), policy_key: policy_key.clone() };
            state.kept.insert(private.clone(), kept);
            let srk_name = state.srk_name.clone();
            let object = Tpm2Object { srk_name, public: vec![1, 2, 3], private, pcrs, policy_key, pin };
            Ok(Done::Response(Response::Sealed { object, notes: state.notes.clone() }))
        }
        Request::Unseal(unseal) => {
            state.forced = unseal.force;
            if unseal.object.srk_name != state.srk_name {
                return Err(Failure::OtherTpm);
            }
            let kept = state.kept.get(&unseal.object.private).ok_or(Failure::Damaged)?;
            let indexes: Vec<u8> = kept.values.iter().map(|pcr| pcr.index).collect();
            let now = values(&indexes, state);
            if kept.policy_key.is_empty() {
                let changed: Vec<u8> = kept
                    .values
                    .iter()
                    .zip(&now)
                    .filter(|(then, now)| then != now)
                    .map(|(then, _)| then.index)
                    .collect();
                if !changed.is_empty() {
                    return Err(Failure::PcrMismatch { changed });
                }
            } else {
                let policy = policy_of(&now);
                let approval = unseal
                    .approvals
                    .iter()
                    .find(|approval| approval.policy == policy)
                    .ok_or_else(|| Failure::NoSignature { policy: data_encoding::HEXLOWER.encode(&policy) })?;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &kept.policy_key)
                    .verify(approval.policy, approval.signature)
                    .map_err(|_| Failure::BadSignature)?;
            }
            if kept.auth != unseal.auth {
                return Err(Failure::WrongPin { tries_left: 3 });
            }
            Ok(Done::Secret(kept.secret.clone()))
        }
        Request::Describe { pcrs } => {
            let pcrs = values(pcrs, state);
            Ok(Done::Response(Response::Report(Tpm2Report {
                tcti: "swtpm".into(),
                resource_manager: false,
                maker: "none".into(),
                srk_name: state.srk_name.clone(),
                policy: policy_of(&pcrs),
                pcrs,
                lockout_counter: 0,
                lockout_after: 32,
                lockout_interval: 10,
                lockout_auth_set: false,
            })))
        }
        Request::Wrap(wrap) => {
            check_pin(wrap.pin, state)?;
            let ciphertext = [wrap.aad, &serial.to_be_bytes()].concat();
            let kept =
                Kept { secret: wrap.secret.to_vec(), auth: Vec::new(), values: Vec::new(), policy_key: Vec::new() };
            state.kept.insert(ciphertext.clone(), kept);
            let object = Pkcs11Object { mechanism: Mechanism::AesGcm, nonce: vec![9; 12], ciphertext };
            Ok(Done::Response(Response::Wrapped(object)))
        }
        Request::Unwrap(unwrap) => {
            state.forced = unwrap.force;
            check_pin(unwrap.pin, state)?;
            let kept = state
                .kept
                .get(&unwrap.object.ciphertext)
                .filter(|_| unwrap.object.ciphertext.starts_with(unwrap.aad) && unwrap.object.nonce == [9; 12])
                .ok_or_else(|| Failure::TokenKey("CKR_ENCRYPTED_DATA_INVALID".into()))?;
            Ok(Done::Secret(kept.secret.clone()))
        }
        _ => Err(Failure::NoCounter(0)),
    }
}

fn check_pin(pin: Option<&[u8]>, state: &State) -> Result<(), Failure> {
    match pin.or(state.configured_pin.as_deref()) {
        None => Err(Failure::PinNeeded),
        Some(pin) if pin == state.token_pin => Ok(()),
        Some(_) => Err(Failure::TokenPin),
    }
}
