/* SPDX-License-Identifier: MIT */
/*
 * libicudata.so.72 without data: PostgreSQL links with ICU, whose locale data are 31 MB that a
 * server in the C locale never looks at. This is ICU's common-data header with an empty table of
 * contents (format "ToCP" version 1 of ICU's data library); ICU then knows no locales. icunone.c is
 * what initdb needs beside it.
 */
#include <stdint.h>

struct icu_common_data {
    uint16_t header_size;
    uint8_t magic[2];
    uint16_t info_size, reserved;
    uint8_t big_endian, charset, uchar_size, reserved_byte;
    uint8_t format[4], format_version[4], data_version[4];
    uint8_t padding[8];
    uint32_t count, reserved_word;
};

extern const struct icu_common_data icudt72_dat;

const struct icu_common_data icudt72_dat = {
    .header_size = 32,
    .magic = {0xda, 0x27},
    .info_size = 20,
    .uchar_size = 2,
    .format = {'T', 'o', 'C', 'P'},
    .format_version = {1},
};
