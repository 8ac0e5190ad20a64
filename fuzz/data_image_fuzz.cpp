// JPEG and PNG, by their first bytes; what decodes is resized and changed to gray.

#include "data/image.h"
#include "fuzz_target.h"

FEWBIT_FUZZ_TARGET(bytes) {
  // A small bound keeps the runs fast: the check of the bound itself is what matters.
  auto image = fewbit::decode_image(bytes, "fuzz", 1 << 16);
  if (!image.ok()) return;
  FEWBIT_CHECK(image->channels == 1 || image->channels == 3, image->channels);
  FEWBIT_CHECK(static_cast<int64_t>(image->pixels.size()) ==
               image->width * image->height * image->channels);
  const auto gray = with_channels(std::move(image).value(), fewbit::Channels::kGray);
  (void)resize_bilinear(gray, 5, 9);
}
