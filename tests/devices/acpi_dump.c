/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables that hv/x86/hvm/acpi.c writes for a domain, checked and cut into files.
 *
 *   acpi_dump pvh|hvm VCPUS FOLDER
 *
 * Checks signatures, lengths, checksums and that each pointer leads to a table; writes FOLDER/NAME.dat (NAME: dsdt, facp, apic, xsdt) for
 * iasl. Exit status: 0 all right, 1 something is wrong (said), 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "x86/hvm/hvm.h"

#define AT 0xfc000000ull

static u8 page[4096];
static size_t length;
static int wrong;

static void check(bool ok, const char *what)
{
    if (!ok) {
        printf("%s\n", what);
        wrong = 1;
    }
}

static u8 sum(const u8 *p, size_t n)
{
    u8 s = 0;

    while (n--)
        s += *p++;
    return s;
}

static u64 get(const u8 *p, unsigned int n)
{
    u64 v = 0;

    memcpy(&v, p, n);
    return v;
}

/* The table at a guest-physical address: checked, written to a file. */
static const u8 *table(u64 gpa, const char *signature, const char *folder)
{
    const u8 *t = page + (gpa - AT);
    char path[4096];
    size_t n;
    FILE *f;

    if (gpa < AT || gpa - AT + 36 > length) {
        printf("%s lies at %#llx, outside\n", signature, (unsigned long long)gpa);
        exit(1);
    }
    n = get(t + 4, 4);
    check(!memcmp(t, signature, 4), "another signature");
    if (n < 36 || gpa - AT + n > length) {
        printf("%s is %zu bytes long\n", signature, n);
        exit(1);
    }
    check(sum(t, n) == 0, "a checksum is wrong");
    snprintf(path, sizeof(path), "%s/%.4s.dat", folder, signature);
    f = fopen(path, "wb");
    if (!f || fwrite(t, 1, n, f) != n || fclose(f)) {
        perror(path);
        exit(1);
    }
    return t;
}

int main(int argc, char **argv)
{
    static struct hvm_domain hd;
    static struct hvm_vcpu hv[MAX_VCPUS];
    unsigned int vcpus = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    const u8 *xsdt, *fadt;

    if (argc != 4 || (strcmp(argv[1], "pvh") && strcmp(argv[1], "hvm")) || vcpus < 1 || vcpus > 4) {
        fprintf(stderr, "usage: acpi_dump pvh|hvm VCPUS FOLDER\n");
        return 2;
    }
    board_start(vcpus, true);
    hd.platform = !strcmp(argv[1], "hvm") ? (struct hvm_platform *)&hd : NULL; /* only whether there is one is looked at */
    board.d->arch.hvm = &hd;
    for (unsigned int i = 0; i < vcpus; i++) {
        hv[i].vlapic = board.apic[i];
        board.d->vcpu[i]->arch.hvm = &hv[i];
    }
    length = hvm_acpi_tables(board.d, page, AT);
    check(length <= sizeof(page), "more than a page");
    check(!memcmp(page, "RSD PTR ", 8) && sum(page, 20) == 0 && sum(page, 36) == 0 && page[15] == 2, "RSDP");
    xsdt = table(get(page + 24, 8), "XSDT", argv[3]);
    check(get(xsdt + 4, 4) == 36 + 2 * 8, "XSDT has not two entries");
    fadt = table(get(xsdt + 36, 8), "FACP", argv[3]);
    (void)table(get(xsdt + 44, 8), "APIC", argv[3]);
    (void)table(get(fadt + 140, 8), "DSDT", argv[3]);
    check(get(fadt + 40, 4) == get(fadt + 140, 8), "DSDT has two addresses");
    board.d->arch.hvm = NULL;
    for (unsigned int i = 0; i < vcpus; i++)
        board.d->vcpu[i]->arch.hvm = NULL;
    board_stop();
    return wrong;
}
