/* SPDX-License-Identifier: MIT */
/*
 * /bin/pgn-true: the static program that fork-exec and fork-sh execute. Does nothing, successfully.
 */
int main(void)
{
    return 0;
}
