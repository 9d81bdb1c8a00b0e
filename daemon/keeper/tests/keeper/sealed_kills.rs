//! Kills while slots are sealed: a TPM opens the instance before and after, and no key file is made meanwhile.

use std::sync::mpsc::channel;

use merlon_wire::admin::{Request, Response};

use crate::sealed::{TPM, start};
use crate::support::seal::FakeSeal;
use crate::support::{Scratch, Starting};

#[test]
fn a_first_start_with_a_tpm_killed_at_any_point_is_gone_on_from() {
    for round in 0..3 {
        for stage in ["Seal", "Unseal", "keyslots.a", "keyslots.b", "secrets.db.new", "secrets.db"] {
            let (scratch, seal) = (Scratch::new(), FakeSeal::new());
            let mut running = Starting::with_seal(&scratch, TPM, &seal).spawn();
            // What was asked of the TPM, then what appears in the directory; or it is past already.
            while !seal.state().asked.contains(&stage)
                && !scratch.file(stage).exists()
                && !scratch.file("secrets.db").exists()
            {
                std::thread::yield_now();
            }
            running.kill();
            let (running, locked) = start(&scratch, TPM, &seal);
            assert!(!locked, "{stage} {round}");
            let status = running.status();
            assert_eq!((status.slots, status.opened_by.as_deref()), (vec!["tpm2".to_owned()], Some("tpm2")));
            running.stop();
            let names: Vec<_> = scratch.snapshot().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["audit.log", "keyslots.a", "keyslots.b", "secrets.db"], "{stage} {round}");
        }
    }
}

#[test]
fn kills_while_a_slot_is_sealed_anew_leave_one_that_opens() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    start(&scratch, TPM, &seal).0.stop();
    for round in 0..25 {
        let (mut running, locked) = start(&scratch, TPM, &seal);
        assert!(!locked, "round {round}");
        let mut slots = running.status().slots;
        slots.dedup();
        assert_eq!(slots, ["tpm2"], "round {round}");
        let answer = running.administer(&Request::TestKeyslot { id: 1, secret: b"" });
        assert_eq!(answer.admin(), Response::Keyslot(1), "round {round}");
        let (sender, acknowledged) = channel();
        let mut admin = running.admin();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Until it is killed, or drops who asks more than 16 times.
                for turn in 0..16 {
                    let request = Request::Reseal { id: 1, next_boot_once: turn % 4 == 3 };
                    let Some(answer) = admin.ask(&request) else { return };
                    assert!(matches!(answer.admin(), Response::Keyslot(_) | Response::KeyslotWithNotes { .. }));
                    // Nobody counts any more once the kill is on its way.
                    let _ = sender.send(());
                }
            });
            // The kill falls somewhere into the sealing after the last acknowledged one.
            assert_eq!(acknowledged.iter().take(1 + round % 5).count(), 1 + round % 5);
            running.kill();
        });
    }
}
