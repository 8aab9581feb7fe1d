//! Owns the bytes of commands, events and state: the only place that chooses bincode's settings.
//! Knows nothing of files. Invariant: the encoding is frozen by the golden bytes in
//! `codec/tests.rs`; a change there needs a new journal format version, and enum variants are
//! appended, never moved.
//!
//! Little-endian, fixed-width integers, `u32` variant tags, one-byte closed sets.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};

/// Longest encoding of a command or an event of any machine, bytes: bounds what a decoder reserves.
const BYTES_MAX: usize = 4096;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<BYTES_MAX>> =
    bincode::config::legacy().with_limit::<BYTES_MAX>();

/// Why bytes are not a value of this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// Not an encoding: unknown variant, absurd length, or cut short.
    Malformed(String),
    /// A value, and then this many bytes too many.
    TrailingBytes(usize),
}

impl std::fmt::Display for CodecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(cause) => write!(f, "malformed encoding: {cause}"),
            Self::TrailingBytes(count) => write!(f, "{count} bytes after the encoded value"),
        }
    }
}

impl std::error::Error for CodecError {}

/// Names the encoding of commands and events: a log written under another one is not readable.
///
/// Changes with [`ENCODING_VERSION`], which the golden tests tie to the bytes.
pub(crate) fn schema_hash() -> [u8; 32] {
    *blake3::hash(format!("matchring engine encoding {ENCODING_VERSION}").as_bytes()).as_bytes()
}

const ENCODING_VERSION: u32 = 1;

/// A value with a frozen byte encoding.
pub trait Codec: Sized {
    /// No encoding is longer than this many bytes.
    const BYTES_MAX: usize;

    /// Writes the encoding to the front of `out` and returns its length in bytes.
    ///
    /// # Panics
    /// If `out` is shorter than the encoding; [`Self::BYTES_MAX`] bytes always suffice.
    fn encode_into(&self, out: &mut [u8]) -> usize;

    /// Reads one value that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are anything else.
    fn decode_from(bytes: &[u8]) -> Result<Self, CodecError>;
}

/// Makes a type that bincode can encode a value of the rings and logs.
#[macro_export]
macro_rules! wire_value {
    ($name:ident, $bytes_max:expr) => {
        impl $crate::Codec for $name {
            const BYTES_MAX: usize = $bytes_max;

            fn encode_into(&self, out: &mut [u8]) -> usize {
                $crate::codec::encode_into(self, out)
            }

            fn decode_from(bytes: &[u8]) -> Result<Self, $crate::CodecError> {
                $crate::codec::decode_from(bytes)
            }
        }
    };
}

/// [`Codec::encode_into`] for whatever bincode can encode.
///
/// # Panics
/// If `out` is shorter than the encoding.
pub fn encode_into<T: Encode>(value: &T, out: &mut [u8]) -> usize {
    match bincode::encode_into_slice(value, out, CONFIG) {
        Ok(len) => len,
        Err(error) => panic!("encoding into {} bytes: {error}", out.len()),
    }
}

/// [`Codec::decode_from`] for whatever bincode can decode.
///
/// # Errors
/// [`CodecError`] if the bytes are anything else than one whole value.
pub fn decode_from<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::decode_from_slice(bytes, CONFIG)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::TrailingBytes(extra)),
    }
}

/// Appends the encoding of one piece of state to `out`; the snapshot is a concatenation of these.
///
/// # Panics
/// If the value cannot be encoded, which a derived encoding always can.
pub fn append<T: Encode>(value: &T, out: &mut Vec<u8>) {
    let config = bincode::config::legacy();
    if let Err(error) = bincode::encode_into_std_write(value, out, config) {
        panic!("encoding state: {error}");
    }
}

/// Reads one value that [`append`] wrote from the front of `bytes`; gives it and its length, bytes.
///
/// Only for types of bounded length: nothing else bounds what a decoder reserves.
///
/// # Errors
/// [`CodecError`] if the bytes do not begin with a value.
#[inline]
pub fn read_front<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::decode_from_slice(bytes, bincode::config::legacy())
        .map_err(|error| CodecError::Malformed(error.to_string()))
}

/// Reads what [`append`] wrote, from bytes that a checksum has vouched for.
///
/// # Errors
/// [`CodecError`] if the bytes are anything else than one whole value.
pub fn read_whole<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::decode_from_slice(bytes, bincode::config::legacy())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::TrailingBytes(extra)),
    }
}

/// Declares a closed set whose members travel as one byte, with `ALL` and `code`.
#[macro_export]
macro_rules! wire_enum {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$note:meta])* $variant:ident = $code:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$note])* $variant = $code),+ }

        impl $name {
            /// Every member, in ascending code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The byte that stands for it in the journal.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The member that a byte stands for.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl ::bincode::Encode for $name {
            fn encode<E: ::bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), ::bincode::error::EncodeError> {
                self.code().encode(encoder)
            }
        }

        impl<C> ::bincode::Decode<C> for $name {
            fn decode<D: ::bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, ::bincode::error::DecodeError> {
                let code = <u8 as ::bincode::Decode<C>>::decode(decoder)?;
                Self::from_code(code).ok_or(::bincode::error::DecodeError::Other(concat!(
                    "unknown code of ",
                    stringify!($name)
                )))
            }
        }

        impl<'de, C> ::bincode::BorrowDecode<'de, C> for $name {
            fn borrow_decode<D: ::bincode::de::BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, ::bincode::error::DecodeError> {
                <Self as ::bincode::Decode<C>>::decode(decoder)
            }
        }
    };
}
pub use wire_enum;

#[cfg(test)]
mod tests;
