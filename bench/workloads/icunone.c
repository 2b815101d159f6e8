/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into initdb in the guest (outside all marks): ICU has no locales here. initdb would
 * otherwise open a collator for each of ICU's 800 locales to list them in its catalogue, and fail,
 * since icudata.c leaves their data out. The database's own locale is C, so none of these functions
 * is called again. Signatures as in ICU 72's unicode/uloc.h and unicode/ucol.h.
 */
#include <stdint.h>
#include <string.h>

int32_t uloc_countAvailable_72(void);
void *ucol_open_72(const char *locale, int *status);
void ucol_close_72(void *collator);
void ucol_getVersion_72(const void *collator, uint8_t version[4]);

int32_t uloc_countAvailable_72(void)
{
    return 0;
}

void *ucol_open_72(const char *locale, int *status)
{
    static char the_collator;

    return &the_collator;
}

void ucol_close_72(void *collator)
{
}

void ucol_getVersion_72(const void *collator, uint8_t version[4])
{
    memset(version, 0, 4);
}
