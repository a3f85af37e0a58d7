//! The client of an SSH agent (draft-ietf-sshm-ssh-agent): lists keys and asks for signatures.

use std::{
    env,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use ssh_key::{
    PublicKey, Signature,
    encoding::{Decode as _, Encode as _},
    public::KeyData,
};

use super::{SshKey, raw};
use crate::trust::key::KeyError;

/// The variable of the environment that names an agent's socket.
const SOCKET: &str = "SSH_AUTH_SOCK";

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// Of RSA keys: sign with SHA-512, not SHA-1.
const RSA_SHA2_512: u32 = 4;

/// Bytes of an agent's answer: OpenSSH's own limit.
const MAX_ANSWER: usize = 256 * 1024;

/// Keys in an agent that are looked at.
const MAX_KEYS: u32 = 2048;

/// How long an agent may take: a person may have to touch a token or type a password.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to an SSH agent.
#[derive(Debug)]
pub struct Agent(UnixStream);

impl Agent {
    /// Connects to the agent of the environment.
    pub fn from_env() -> Result<Self, KeyError> {
        let path = env::var_os(SOCKET).filter(|path| !path.is_empty());
        Self::connect(Path::new(&path.ok_or_else(|| failed(format!("is not there: {SOCKET} is not set")))?))
    }

    /// Connects to the agent at the socket `path`.
    pub fn connect(path: &Path) -> Result<Self, KeyError> {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            io::Result::Ok(stream)
        };
        connect().map(Self).map_err(|error| failed(format!("at {} cannot be reached: {error}", path.display())))
    }

    /// The agent's keys of the kinds that are used here, with their comments.
    pub fn keys(&mut self) -> Result<Vec<(SshKey, String)>, KeyError> {
        let answer = self.ask(REQUEST_IDENTITIES, &[], IDENTITIES_ANSWER)?;
        let damaged = |_| failed("gave a list of keys that cannot be read".to_owned());
        let reader = &mut answer.as_slice();
        let count = u32::decode(reader).map_err(damaged)?;
        let mut keys = Vec::new();
        for _ in 0..count.min(MAX_KEYS) {
            let blob = Vec::<u8>::decode(reader).map_err(damaged)?;
            let comment = String::decode(reader).map_err(damaged)?;
            // Kinds of keys that are not known here are none of our affair.
            let Ok(key) = KeyData::decode(&mut blob.as_slice()) else { continue };
            if raw::check_key(&key).is_ok() {
                keys.push((SshKey(key), comment));
            }
        }
        Ok(keys)
    }

    /// A signature over `message` by the private key of `key`.
    pub(super) fn sign(&mut self, key: &PublicKey, message: &[u8]) -> Result<Signature, KeyError> {
        let blob = key.to_bytes().map_err(|_| KeyError::Crypto)?;
        let mut body = Vec::new();
        blob.encode(&mut body)
            .and_then(|()| message.encode(&mut body))
            .and_then(|()| RSA_SHA2_512.encode(&mut body))
            .map_err(|_| KeyError::Crypto)?;
        let answer = self.ask(SIGN_REQUEST, &body, SIGN_RESPONSE)?;
        let damaged = || failed("gave a signature that cannot be read".to_owned());
        let inner = Vec::<u8>::decode(&mut answer.as_slice()).map_err(|_| damaged())?;
        let signature = Signature::decode(&mut inner.as_slice()).map_err(|_| damaged())?;
        raw::verify(key.key_data(), message, &signature)
            .map_err(|_| failed("gave a signature that is not of this key".to_owned()))?;
        Ok(signature)
    }

    /// Sends one request and reads the body of an answer of the type `expected`.
    fn ask(&mut self, request: u8, body: &[u8], expected: u8) -> Result<Vec<u8>, KeyError> {
        let (kind, body) = self.exchange(request, body).map_err(|error| failed(format!("did not answer: {error}")))?;
        if kind == expected {
            Ok(body)
        } else {
            Err(failed(format!("refused (answer {kind}); `ssh-add -l` lists the keys that it has")))
        }
    }

    fn exchange(&mut self, request: u8, body: &[u8]) -> io::Result<(u8, Vec<u8>)> {
        let length = u32::try_from(body.len() + 1).map_err(io::Error::other)?;
        let mut message = length.to_be_bytes().to_vec();
        message.push(request);
        message.extend(body);
        self.0.write_all(&message)?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if !(1..=MAX_ANSWER).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        let body = answer.split_off(1);
        Ok((answer[0], body))
    }
}

fn failed(reason: String) -> KeyError {
    KeyError::Agent { reason }
}
