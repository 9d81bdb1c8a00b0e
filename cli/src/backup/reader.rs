//! Reads a backup from its start to its end. Every byte may be hostile: names are of a closed set, nothing is read into
//! memory but headers and the manifest, each bounded, and nothing counts before the manifest has been compared.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};

use super::{Header, Listed, MAGIC, MANIFEST, MAX_HEADER, MAX_MANIFEST, MAX_PARTS, Manifest, Name, Sha256};

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Why a backup cannot be used: what is wrong, and with which part.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Bad {
    /// Something else.
    #[error("it is no backup of Merlon")]
    Foreign,
    /// Of a later release.
    #[error("it was written by a later release; install that one to restore it")]
    Newer,
    /// The end is missing.
    #[error("it is cut off {0}")]
    CutOff(String),
    /// What should be a header is none.
    #[error("it is damaged {0}: what stands there is no part of a backup")]
    NoPart(String),
    /// Twice the same name.
    #[error("it holds the part {0} twice")]
    Twice(String),
    /// A part that an instance cannot do without.
    #[error("the part {0} is missing")]
    Missing(String),
    /// A part that the manifest does not have there.
    #[error("the part {0} does not belong there")]
    Unexpected(String),
    /// Other bytes than the manifest says.
    #[error("the part {0} was altered")]
    Altered(String),
    /// More parts, or a longer manifest, than any backup has.
    #[error("it is larger than a backup can be")]
    TooLarge,
    /// Bytes behind the end.
    #[error("something stands behind its end")]
    Trailing,
    /// The file.
    #[error("{0}")]
    Read(#[from] io::Error),
}

/// Reads one backup.
pub(crate) struct Reader<R> {
    from: R,
    /// Found so far.
    found: Vec<Listed>,
    names: HashSet<Name>,
    /// The manifest's bytes, at the end.
    manifest: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Checks the first line.
    pub(crate) fn new(mut from: R) -> Result<Self, Bad> {
        let mut magic = [0; MAGIC.len()];
        match from.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Ok(()) if magic.starts_with(b"merlon backup ") => return Err(Bad::Newer),
            Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e.into()),
            _ => return Err(Bad::Foreign),
        }
        Ok(Self { from, found: Vec::new(), names: HashSet::new(), manifest: Vec::new() })
    }

    /// The next part's name and length; none once the manifest was read. [`Self::read`] has to follow.
    pub(crate) fn part(&mut self) -> Result<Option<(Name, u64)>, Bad> {
        let header = self.header()?;
        if header.part == MANIFEST {
            self.read_manifest(header.length)?;
            return Ok(None);
        }
        let name = Name::parse(&header.part).ok_or_else(|| Bad::NoPart(self.place()))?;
        if self.found.len() >= MAX_PARTS {
            return Err(Bad::TooLarge);
        }
        if !self.names.insert(name) {
            return Err(Bad::Twice(name.to_string()));
        }
        self.found.push(Listed { name: name.to_string(), length: header.length, sha256: String::new() });
        Ok(Some((name, header.length)))
    }

    /// Hands all bytes of the part to `take`, whose error ends it.
    pub(crate) fn read<E: From<Bad>>(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let Some(part) = self.found.last_mut() else { return Ok(()) };
        let mut digest = Sha256::new();
        let mut left = part.length;
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let most = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
            let read = match self.from.read(&mut piece[..most]) {
                Ok(0) => return Err(Bad::CutOff(format!("in the part {}", part.name)).into()),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Bad::Read(e).into()),
            };
            digest.update(&piece[..read]);
            take(&piece[..read])?;
            left -= read as u64;
        }
        part.sha256 = digest.hex();
        Ok(())
    }

    /// At the end: was every part what the manifest says? Returns the manifest, and its bytes as they stood there.
    pub(crate) fn finish(mut self) -> Result<(Manifest, Vec<u8>), Bad> {
        if !self.from.fill_buf()?.is_empty() {
            return Err(Bad::Trailing);
        }
        let manifest = Manifest::parse(&self.manifest)?;
        for (at, listed) in manifest.parts.iter().enumerate() {
            match self.found.get(at) {
                Some(found) if found == listed => {}
                Some(found) if found.name == listed.name => return Err(Bad::Altered(listed.name.clone())),
                Some(found) if !manifest.parts.iter().any(|part| part.name == found.name) => {
                    return Err(Bad::Unexpected(found.name.clone()));
                }
                _ => return Err(Bad::Missing(listed.name.clone())),
            }
        }
        if let Some(more) = self.found.get(manifest.parts.len()) {
            return Err(Bad::Unexpected(more.name.clone()));
        }
        match [Name::Keyslots, Name::Secrets].into_iter().find(|name| !self.names.contains(name)) {
            Some(name) => Err(Bad::Missing(name.to_string())),
            None => Ok((manifest, self.manifest)),
        }
    }

    fn header(&mut self) -> Result<Header, Bad> {
        let mut line = Vec::new();
        (&mut self.from).take(MAX_HEADER as u64).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(if line.len() < MAX_HEADER { Bad::CutOff(self.place()) } else { Bad::NoPart(self.place()) });
        }
        serde_json::from_slice(&line).map_err(|_| Bad::NoPart(self.place()))
    }

    fn read_manifest(&mut self, length: u64) -> Result<(), Bad> {
        if length > MAX_MANIFEST {
            return Err(Bad::TooLarge);
        }
        let read = (&mut self.from).take(length).read_to_end(&mut self.manifest)?;
        if (read as u64) < length {
            return Err(Bad::CutOff(format!("in the part {MANIFEST}")));
        }
        Ok(())
    }

    /// Where the reader is, for people.
    fn place(&self) -> String {
        match self.found.last() {
            Some(part) => format!("after the part {}", part.name),
            None => "after its first line".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Seal, sha256};
    use super::*;

    /// A backup of these parts, and where the digits of its MAC stand.
    fn backup(parts: &[(&str, &[u8])]) -> (Vec<u8>, std::ops::Range<usize>) {
        let mut file = MAGIC.to_vec();
        let mut listed = Vec::new();
        for (name, bytes) in parts {
            file.extend(Header { part: (*name).to_owned(), length: bytes.len() as u64 }.line());
            file.extend(*bytes);
            let mut digest = Sha256::new();
            digest.update(bytes);
            listed.push(Listed { name: (*name).to_owned(), length: bytes.len() as u64, sha256: digest.hex() });
        }
        let mut manifest = Manifest::new("00".repeat(16), 7, listed).line();
        let seal = Seal::new(&sha256(&manifest), &[0x5a; 32]);
        manifest.push(b'\n');
        manifest.extend(serde_json::to_vec(&seal).unwrap());
        manifest.push(b'\n');
        file.extend(Header { part: MANIFEST.to_owned(), length: manifest.len() as u64 }.line());
        file.extend(manifest);
        let mac = file.len() - 3 - 64..file.len() - 3;
        (file, mac)
    }

    fn read(file: &[u8]) -> Result<Manifest, Bad> {
        let mut reader = Reader::new(file)?;
        while reader.part()?.is_some() {
            reader.read(|_| Ok::<(), Bad>(()))?;
        }
        reader.finish().map(|(manifest, _)| manifest)
    }

    const PARTS: [(&str, &[u8]); 4] = [
        ("keeper/keyslots", b"slots"),
        ("keeper/secrets.db", b"\x00\x01{}\n"),
        ("store/projects/1.db", b""),
        ("store/projects/1.bodies/1.seg", b"{\"part\":\"manifest\",\"length\":1}\n"),
    ];

    #[test]
    fn no_byte_can_be_altered_and_no_end_cut_off_unseen() {
        let (file, mac) = backup(&PARTS);
        let manifest = read(&file).unwrap();
        assert_eq!(manifest.parts.len(), PARTS.len());
        for at in 0..file.len() {
            assert!(read(&file[..at]).is_err(), "cut at {at}");
            for bits in [0x01, 0x20, 0x80, 0xff] {
                let mut altered = file.clone();
                altered[at] ^= bits;
                // The MAC's digits are the keeper's to judge: there is no key here.
                assert!(mac.contains(&at) || read(&altered).is_err(), "byte {at}, {bits:#x}");
            }
        }
    }

    #[test]
    fn an_instance_needs_keyslots_and_secrets() {
        assert!(matches!(read(&backup(&PARTS[1..]).0), Err(Bad::Missing(name)) if name == "keeper/keyslots"));
        assert!(matches!(read(&backup(&[PARTS[0]]).0), Err(Bad::Missing(name)) if name == "keeper/secrets.db"));
    }

    #[test]
    fn a_header_is_bounded() {
        let endless = [MAGIC, &[b'x'; 10_000]].concat();
        assert!(matches!(read(&endless), Err(Bad::NoPart(_))));
    }
}
