/* The bar goes to standard error, so that standard output stays fit for a pipe. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 24
#define COLUMNS_DEFAULT 80
#define TEXT_BEFORE_NAME 50 /* columns of bar and figures */

void tome_progress_init(struct tome_progress *const progress)
{
    *progress = (struct tome_progress){ .is_terminal = isatty(STDERR_FILENO) == 1 };
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : COLUMNS_DEFAULT;
}

void tome_progress_draw(struct tome_progress *const progress, const size_t done, const size_t total,
                        const int64_t percent, const char *const name)
{
    if (!progress->is_terminal || total == 0)
        return;
    const double share = ((double)done + (double)percent / 100.0) / (double)total;
    const int filled = share >= 1.0 ? BAR_WIDTH : (int)(share * BAR_WIDTH);
    const int room = columns() - TEXT_BEFORE_NAME;
    char bar[BAR_WIDTH + 1];
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K[%s] %3d%%  %zu/%zu  %.*s", bar, (int)(share * 100.0), done, total,
            room > 0 ? room : 0, name);
    fflush(stderr);
    progress->is_drawn = true;
}

void tome_progress_clear(struct tome_progress *const progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}
