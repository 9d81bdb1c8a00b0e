//! What is tried, as data: calls, their arguments, and what they must come to.
//!
//! Owned here: the form of a try, and how its arguments become numbers and bytes. The tables are in `tries`.

use merlon_config::Paths;
use nix::errno::Errno;

use crate::tracee::SCRATCH;

/// One argument of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// A number.
    N(i64),
    /// A pointer to this text; `{store}` and the like stand for directories of [`Places`].
    S(&'static str),
    /// A pointer to as many zero bytes, for what the kernel writes.
    Out(usize),
    /// A pointer to the address of this Unix socket.
    Unix(&'static str),
    /// A pointer to 127.0.0.1 and this port.
    Inet(u16),
    /// What the call of this place in the same try answered.
    Ret(usize),
    /// A process of the machine that is not Merlon's: the one that tries.
    Stranger,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) arguments: &'static [Arg],
}

/// What a try must come to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// One of these errors, and in a process that nothing confines another answer.
    Refused(&'static [Errno]),
    /// Success, or one of these errors that only say what is not there.
    Works(&'static [Errno]),
}

/// Where a try counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Everywhere: the process does it to itself.
    Own,
    /// Only under systemd: the unit, its user or its namespaces do it.
    Unit,
    /// Only where the kernel has this ABI of Landlock.
    Landlock(i64),
    /// Only where AppArmor holds the process; or where it is asked for all the same, to see what it would add.
    AppArmor,
    /// Only where AppArmor holds the process, as its success would be the process's end.
    AppArmorStrictly,
}

/// One try: calls in order until one fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    pub(crate) name: &'static str,
    pub(crate) calls: &'static [Call],
    /// Made afterwards in any case; those that use the answer of a call that failed are left out.
    pub(crate) after: &'static [Call],
    pub(crate) expect: Expect,
    pub(crate) layer: Layer,
}

/// What the directories of the tables stand for.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) own: Paths,
    /// Another instance of the same machine.
    pub(crate) other: Paths,
}

impl Places {
    fn fill(&self, text: &str) -> String {
        let paths = [
            ("{store}", &self.own.store),
            ("{keeper}", &self.own.keeper),
            ("{run}", &self.own.run),
            ("{config}", &self.own.config),
            ("{other-store}", &self.other.store),
            ("{other-keeper}", &self.other.keeper),
            ("{other-run}", &self.other.run),
        ];
        paths.iter().fold(text.to_owned(), |text, (name, path)| text.replace(name, &path.to_string_lossy()))
    }
}

/// The six registers and the bytes behind the pointers among them; `None` if it uses an answer that there is not.
pub(crate) fn laid_out(call: &Call, answers: &[i64], places: &Places, scratch: u64) -> Option<([u64; 6], Vec<u8>)> {
    let mut registers = [0; 6];
    let mut data = Vec::new();
    let mut pointer = |bytes: &[u8]| {
        data.resize(data.len().next_multiple_of(16), 0);
        let at = scratch + data.len() as u64;
        data.extend_from_slice(bytes);
        at
    };
    for (register, argument) in registers.iter_mut().zip(call.arguments) {
        *register = match *argument {
            Arg::N(number) => number.cast_unsigned(),
            Arg::S(text) => pointer(&terminated(&places.fill(text))),
            Arg::Out(length) => pointer(&vec![0; length.min(SCRATCH)]),
            Arg::Unix(path) => pointer(&unix_address(&places.fill(path))),
            Arg::Inet(port) => pointer(&inet_address(port)),
            Arg::Ret(place) => answers.get(place).copied().filter(|answer| *answer >= 0)?.cast_unsigned(),
            Arg::Stranger => std::process::id().into(),
        };
    }
    Some((registers, data))
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// `struct sockaddr_un`, as long as the kernel takes it.
fn unix_address(path: &str) -> Vec<u8> {
    let mut bytes = family(libc::AF_UNIX);
    bytes.extend_from_slice(path.as_bytes());
    bytes.resize(size_of::<libc::sockaddr_un>(), 0);
    bytes
}

/// `struct sockaddr_in` of 127.0.0.1.
fn inet_address(port: u16) -> Vec<u8> {
    let mut bytes = family(libc::AF_INET);
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes.extend_from_slice(&[127, 0, 0, 1]);
    bytes.resize(size_of::<libc::sockaddr_in>(), 0);
    bytes
}

fn family(number: i32) -> Vec<u8> {
    number.to_ne_bytes()[..size_of::<libc::sa_family_t>()].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places { own: Paths::below("/i".as_ref()), other: Paths::below("/j".as_ref()) }
    }

    #[test]
    fn texts_and_answers_become_registers() {
        let call = Call { number: 0, arguments: &[Arg::Ret(0), Arg::S("{store}/x"), Arg::N(-1), Arg::Out(4)] };
        let (registers, data) = laid_out(&call, &[7], &places(), 0x1000).unwrap();
        assert_eq!(registers, [7, 0x1000, u64::MAX, 0x1010, 0, 0]);
        assert_eq!(&data[..11], b"/i/store/x\0");
        assert_eq!(data.len(), 20);
        assert!(laid_out(&call, &[-1], &places(), 0x1000).is_none());
    }

    #[test]
    fn addresses_are_laid_out_as_the_kernel_reads_them() {
        assert_eq!(&inet_address(0x1234)[2..8], &[0x12, 0x34, 127, 0, 0, 1]);
        assert_eq!(unix_address("/s").len(), 110);
        assert_eq!(&unix_address("/s")[..4], &[1, 0, b'/', b's']);
    }
}
