//! Events of Qtap's stream as Arrow's columns, without an object an event in between.
//!
//! Only what is plainly right is taken; the rest is left, by its place, to the Python path, which
//! has the last word on everything (recorder/native/__init__.py). The functions below are all that
//! is not safe Rust: they get memory of Python's and hand out memory of a batch, until it is freed.

#![deny(unsafe_code)]

pub mod base64;
pub mod batch;
pub mod columns;
pub mod event;
pub mod json;
pub mod named;

use std::panic::{catch_unwind, AssertUnwindSafe};

use batch::{Batch, Limits};

/// Changes with whatever the two sides must agree on: the order of buffers, what they hold.
const ABI: u32 = 2;

/// Memory of a batch, in bytes.
#[repr(C)]
pub struct Buffer {
    pub data: *const u8,
    pub size: u64,
}

#[repr(C)]
pub struct Progress {
    pub at: u64,
    pub events: u64,
    pub stopped: u64,
}

fn buffer<T>(values: &[T]) -> Buffer {
    Buffer { data: values.as_ptr().cast(), size: std::mem::size_of_val(values) as u64 }
}

fn texts(all: &mut Vec<Buffer>, texts: &columns::Texts) {
    all.extend([buffer(&texts.offsets), buffer(&texts.data), buffer(&texts.valid.bits)]);
}

fn buffers_of(batch: &Batch) -> Vec<Buffer> {
    let mut all = Vec::with_capacity(160);
    for ints in &batch.ints {
        all.extend([buffer(&ints.values), buffer(&ints.valid.bits)]);
    }
    batch.texts.iter().chain(&batch.bodies).for_each(|column| texts(&mut all, column));
    for few in &batch.fews {
        all.extend([buffer(&few.numbers), buffer(&few.valid.bits)]);
        texts(&mut all, &few.uniques.texts);
    }
    for side in 0..2 {
        all.extend([buffer(&batch.looked[side]), buffer(&batch.encodings[side])]);
        all.extend([buffer(&batch.headers[side].offsets), buffer(&batch.headers[side].pairs)]);
    }
    all.push(buffer(&batch.pairs.tags));
    texts(&mut all, &batch.pairs.texts);
    texts(&mut all, &batch.names.texts);
    texts(&mut all, &batch.cookie_names.texts);
    all.push(buffer(&batch.left));
    all
}

fn scan_of(batch: &Batch) -> Vec<Buffer> {
    let (named, mut all) = (&batch.named, Vec::new());
    for scan in [&batch.scan, &named.rest] {
        all.push(buffer(&scan.data));
        all.extend([&scan.starts, &scan.ends, &scan.kinds, &scan.owners].map(|values| buffer(values)));
    }
    all.extend([&named.unsure, &named.changed, &named.names].map(|values| buffer(values)));
    all.extend([&named.offsets, &named.sequence].map(|values| buffer(values)));
    all.push(buffer(&named.secrets.tags));
    texts(&mut all, &named.pieces);
    texts(&mut all, &named.secrets.texts);
    all
}

#[allow(unsafe_code)]
mod edge {
    use super::*;

    /// The number of this interface. A panic says nothing from then on: its words may be values.
    #[no_mangle]
    pub extern "C" fn qrec_abi() -> u32 {
        let _ = catch_unwind(|| std::panic::set_hook(Box::new(|_| ())));
        ABI
    }

    /// A batch of a block, or null where reading it panicked.
    ///
    /// # Safety
    /// `data` has `size` bytes, and `at` lies within them; the pointers are valid.
    #[no_mangle]
    pub unsafe extern "C" fn qrec_read(
        data: *const u8,
        size: u64,
        at: u64,
        limits: *const Limits,
        progress: *mut Progress,
    ) -> *mut Batch {
        let (block, limits) = (std::slice::from_raw_parts(data, size as usize), &*limits);
        match catch_unwind(|| Batch::read(block, at as usize, limits)) {
            Ok(batch) => {
                let (at, events) = (batch.at as u64, batch.events as u64);
                *progress = Progress { at, events, stopped: batch.stopped.into() };
                Box::into_raw(Box::new(batch))
            }
            Err(_) => std::ptr::null_mut(),
        }
    }

    /// The columns of a batch, in the order of buffers_of; how many there are (0: too little room).
    ///
    /// # Safety
    /// `batch` came from qrec_read and is not freed; `out` has room for `room` buffers.
    #[no_mangle]
    pub unsafe extern "C" fn qrec_columns(batch: *const Batch, out: *mut Buffer, room: u64) -> u64 {
        put(&buffers_of(&*batch), out, room)
    }

    /// The texts to be scanned and the headers judged, in the order of scan_of; 0 where that
    /// panicked. What it gave before is gone.
    ///
    /// # Safety
    /// As above; `orders` has `size` bytes.
    #[no_mangle]
    pub unsafe extern "C" fn qrec_texts(
        batch: *mut Batch,
        orders: *const u8,
        size: u64,
        with_bodies: u32,
        out: *mut Buffer,
        room: u64,
    ) -> u64 {
        let (batch, orders) = (&mut *batch, std::slice::from_raw_parts(orders, size as usize));
        let collected = catch_unwind(AssertUnwindSafe(|| {
            batch.collect(orders, with_bodies != 0);
            scan_of(batch)
        }));
        collected.map_or(0, |all| put(&all, out, room))
    }

    /// # Safety
    /// `batch` came from qrec_read, and nobody uses its memory any more.
    #[no_mangle]
    pub unsafe extern "C" fn qrec_free(batch: *mut Batch) {
        let batch = AssertUnwindSafe(Box::from_raw(batch));
        let _ = catch_unwind(move || drop(batch));
    }

    unsafe fn put(all: &[Buffer], out: *mut Buffer, room: u64) -> u64 {
        if all.len() as u64 > room {
            return 0;
        }
        std::ptr::copy_nonoverlapping(all.as_ptr(), out, all.len());
        all.len() as u64
    }
}
