//! One table tried in one process, and what came of it.
//!
//! Owned here: the judgement. A refusal counts only if a process that nothing confines is answered otherwise; where even
//! that one is refused or finds nothing, the try shows nothing here and is told apart.

use nix::errno::Errno;

use crate::attempt::{Expect, Layer, Places, Try, laid_out};
use crate::control::{self, ControlError};
use crate::tracee::{TraceError, Tracee};

/// What of the surroundings decides which tries count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// The process is a service of systemd.
    pub(crate) unit: bool,
    /// AppArmor enforces a profile on it.
    pub(crate) apparmor: bool,
    /// What AppArmor denies is tried although it is not there.
    pub(crate) as_with_apparmor: bool,
    /// The kernel's Landlock; 0 without.
    pub(crate) landlock_abi: i64,
    /// Root has every capability here, so that the process to compare with is refused nothing.
    pub(crate) full_root: bool,
}

impl Surroundings {
    fn count(&self, layer: Layer) -> bool {
        match layer {
            Layer::Own => true,
            Layer::Unit => self.unit,
            Layer::AppArmor => self.apparmor || self.as_with_apparmor,
            Layer::AppArmorStrictly => self.apparmor,
            Layer::Landlock(abi) => self.landlock_abi >= abi,
        }
    }
}

/// How a try came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Refused, as it should be.
    Refused,
    /// Done, as it should be.
    Allowed,
    /// As it should be, but it shows nothing here: there is no such file, or this root is refused it too.
    Unshown,
    /// Not as it should be.
    Wrong,
    /// Refused, but so it is to a root that has every right: the try is badly made.
    Vacuous,
}

impl Verdict {
    /// For the table.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Allowed => "allowed",
            Self::Unshown => "unshown",
            Self::Wrong => "WRONG",
            Self::Vacuous => "VACUOUS",
        }
    }

    /// The process is not confined as it should be, or this program does not show it.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Wrong | Self::Vacuous)
    }
}

/// One try and its answers, as the kernel gave them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) one: &'static Try,
    pub(crate) answer: i64,
    /// What the unconfined process was answered; tries that must work are not made there.
    pub(crate) control: Option<i64>,
    pub(crate) verdict: Verdict,
}

/// Makes all tries that count in these surroundings. Nothing is judged yet: the process stands still meanwhile.
///
/// # Errors
/// The process cannot be traced.
pub(crate) fn make_all(
    tracee: &mut Tracee,
    tables: &[&'static [Try]],
    places: &Places,
    surroundings: Surroundings,
) -> Result<Vec<(&'static Try, i64)>, TraceError> {
    let counting = tables.iter().copied().flatten().filter(|one| surroundings.count(one.layer));
    counting.map(|one| Ok((one, make(tracee, one, places)?))).collect()
}

/// Judges the answers, beside those of an unconfined process.
///
/// # Errors
/// There is no process to compare with.
pub(crate) fn judge_all(
    answers: Vec<(&'static Try, i64)>,
    places: &Places,
    surroundings: Surroundings,
) -> Result<Vec<Outcome>, ControlError> {
    answers.into_iter().map(|(one, answer)| judged(one, answer, places, surroundings)).collect()
}

fn judged(
    one: &'static Try,
    answer: i64,
    places: &Places,
    surroundings: Surroundings,
) -> Result<Outcome, ControlError> {
    let (control, verdict) = match one.expect {
        Expect::Works(also) => {
            let works = answer >= 0 || also.contains(&errno(answer));
            (None, if works { Verdict::Allowed } else { Verdict::Wrong })
        }
        Expect::Refused(refusals) => {
            let control = control::answer(one, places)?;
            (Some(control), refusal(answer, control, refusals, surroundings.full_root))
        }
    };
    Ok(Outcome { one, answer, control, verdict })
}

fn refusal(answer: i64, control: i64, refusals: &[Errno], full_root: bool) -> Verdict {
    let refused = |answer: i64| answer < 0 && refusals.contains(&errno(answer));
    let is = |answer: i64, number| answer < 0 && errno(answer) == number;
    if !refused(answer) {
        Verdict::Wrong
    } else if !refused(control) {
        Verdict::Refused
    } else if is(control, Errno::ENOENT) || !full_root {
        Verdict::Unshown
    } else {
        Verdict::Vacuous
    }
}

/// Makes the calls of a try; the answer is that of the last one, or of the one that failed.
///
/// # Errors
/// The process cannot be traced.
pub(crate) fn make(tracee: &mut Tracee, one: &Try, places: &Places) -> Result<i64, TraceError> {
    let mut answers = Vec::new();
    for call in one.calls.iter().chain(one.after) {
        let over = answers.len() < one.calls.len() && answers.last().is_some_and(|answer| *answer < 0);
        let laid = if over { None } else { laid_out(call, &answers, places, tracee.scratch()) };
        answers.push(match laid {
            Some((registers, data)) => tracee.call(call.number, registers, &data)?,
            None => NOT_MADE,
        });
    }
    let made = &answers[..one.calls.len()];
    Ok(made.iter().copied().find(|answer| is_error(*answer)).or(made.last().copied()).unwrap_or(NOT_MADE))
}

/// Stands for the answer of a call that was not made.
const NOT_MADE: i64 = i64::MIN;

/// The kernel's errors are -4095 to -1 (an address may be negative too).
fn is_error(answer: i64) -> bool {
    (-4095..0).contains(&answer) || answer == NOT_MADE
}

/// The error in an answer.
fn errno(answer: i64) -> Errno {
    Errno::from_raw(i32::try_from(-answer).unwrap_or(0))
}

/// An answer in words: `EPERM`, or `ok`.
pub(crate) fn words(answer: i64) -> String {
    if is_error(answer) { format!("{:?}", errno(answer)) } else { "ok".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_only_beside_another_answer() {
        let denied = -i64::from(libc::EPERM);
        let fault = -i64::from(libc::EFAULT);
        let absent = -i64::from(libc::ENOENT);
        let refusals = &[Errno::EPERM, Errno::ENOENT];
        assert_eq!(refusal(denied, fault, refusals, true), Verdict::Refused);
        assert_eq!(refusal(denied, 0, refusals, true), Verdict::Refused);
        assert_eq!(refusal(0, 0, refusals, true), Verdict::Wrong);
        assert_eq!(refusal(fault, fault, refusals, true), Verdict::Wrong);
        assert_eq!(refusal(denied, denied, refusals, true), Verdict::Vacuous);
        assert_eq!(refusal(denied, denied, refusals, false), Verdict::Unshown);
        assert_eq!(refusal(absent, absent, refusals, true), Verdict::Unshown);
    }

    #[test]
    fn answers_are_named() {
        assert_eq!(words(-1), "EPERM");
        assert_eq!(words(0), "ok");
        assert_eq!(words(3), "ok");
    }
}
