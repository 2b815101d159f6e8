/* SPDX-License-Identifier: MIT */
/*
 * console_io, as the privileged domain uses it.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

static bool may_print(void)
{
    if (!privileged())
        test_skip("not privileged");
    return privileged();
}

static void console_write_read(void)
{
    static char text[] = "MICRO console text\n";
    char buf[16];

    if (!may_print())
        return;
    EXPECT_RC(hc_console_io(CONSOLEIO_write, sizeof(text) - 1, text), 0);
    EXPECT_RC(hc_console_io(CONSOLEIO_write, 0, text), 0);
    EXPECT_RC(hc_console_io(CONSOLEIO_read, sizeof(buf), buf), 0);
}
MICRO_TEST(console_write_read, "console-write-read", PLATFORM_XEN);

static void console_errors(void)
{
    if (!may_print())
        return;
    EXPECT_RC(hc_console_io(99, 0, NULL), -XEN_ENOSYS);
    EXPECT_RC(hc_console_io(CONSOLEIO_write, 8, (void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(hc_console_io(CONSOLEIO_write, 8, (void *)window_va(3)), -XEN_EFAULT);
}
MICRO_TEST(console_errors, "console-errors", PLATFORM_XEN);
