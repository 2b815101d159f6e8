/* SPDX-License-Identifier: MIT */
/*
 * Skeleton of a test file: copy it, name the group after the file, add the file to CMakeLists.txt.
 *
 * What a test may rely on, and must leave behind: events masked, the default trap table and
 * callbacks, its pages freed and writable, the window (micro.h) unmapped. EXPECT() goes on after a
 * failure, so that cleaning up happens; REQUIRE() leaves. A test that cannot run here says
 * test_skip("why"). Explain in tests/micro/README.md what it proves.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

/* A page of the pool is writable, zeroed, and has a machine frame that leads back to it. */
static void pool_page(void)
{
    uint64_t *page = page_alloc();

    EXPECT(page[0] == 0 && page[511] == 0, "not zeroed");
    EXPECT(va_of_mfn(mfn_of(page)) == page, "mfn %lx leads elsewhere", mfn_of(page));
    page[0] = 1;
    page_free(page);
}
MICRO_TEST(pool_page, "skeleton-pool-page", PLATFORM_ANY);
