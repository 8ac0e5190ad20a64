// npy headers, and with them the sizes and offsets that rows are taken by.

#include "data/npy.h"
#include "fuzz_target.h"

FEWBIT_FUZZ_TARGET(bytes) {
  const auto header = fewbit::parse_npy_header(bytes, "fuzz.npy");
  if (!header.ok()) return;
  // What a reader relies on: the elements counted without overflow, the data after the header.
  FEWBIT_CHECK(header->data_bytes >= 0 && header->data_offset <= bytes.size());
  FEWBIT_CHECK(header->data_bytes ==
               fewbit::bytes_of(header->type, fewbit::elements_of(header->dims)));
}
