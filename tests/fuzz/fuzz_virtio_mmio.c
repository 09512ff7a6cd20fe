// SPDX-License-Identifier: BSD-3-Clause
// A hostile driver behind virtio-mmio: register accesses of every width, in every order.
// test-sources: src/virtio/front.c src/virtio/mmio.c src/virtio/pci.c src/pci/pci.c src/pci/msix.c src/bus/bus.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/log.c tests/lib/fake_front.c tests/lib/front_fuzz.c
#include "tests/lib/front_fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	front_fuzz(FF_MMIO, data, size);
	return 0;
}
