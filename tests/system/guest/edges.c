/* edges PULL-FILE...: plays changes of level on lines of a gpio-sim chip at given times.

   From standard input, one change a line in order of time: microseconds from the start, number of the line (the
   PULL-FILE, from 0), level. To standard output, after the last: when each was made, in nanoseconds of
   CLOCK_MONOTONIC before and after the call. What is late delays all that follows: no interval becomes shorter
   than planned. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_NS 300000LL /* shorter waits are spun */
#define WAKE_NS 200000LL

struct change {
    long long due, before, after;
    int line, level;
};

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void wait_until(long long due)
{
    long long left = due - now();
    if (left > SLEEP_NS) {
        left -= WAKE_NS;
        struct timespec t = {left / 1000000000LL, left % 1000000000LL};
        nanosleep(&t, NULL);
    }
    while (now() < due)
        ;
}

int main(int count, char **paths)
{
    int files[64];
    size_t size = 0, room = 0;
    struct change *changes = NULL, read;

    if (count < 2 || count > 65)
        return 2;
    for (int i = 1; i < count; i++)
        if ((files[i - 1] = open(paths[i], O_WRONLY)) < 0) {
            perror(paths[i]);
            return 1;
        }
    while (scanf("%lld %d %d", &read.due, &read.line, &read.level) == 3) {
        if (read.line < 0 || read.line >= count - 1)
            return 2;
        if (size == room && !(changes = realloc(changes, (room = 2 * room + 1024) * sizeof *changes)))
            return 1;
        changes[size++] = read;
    }
    /* Before everything else on the one processor, but behind the kernel's interrupt threads (50). */
    struct sched_param priority = {.sched_priority = 40};
    if (mlockall(MCL_CURRENT) || sched_setscheduler(0, SCHED_FIFO, &priority)) {
        perror("real-time priority");
        return 1;
    }
    long long start = now() + 20000000LL;
    for (struct change *c = changes; c < changes + size; c++) {
        long long due = start + c->due * 1000;
        wait_until(due);
        c->before = now();
        if (c->before > due + 10000)
            start += c->before - due;
        if (pwrite(files[c->line], c->level ? "pull-up" : "pull-down", c->level ? 7 : 9, 0) < 0) {
            perror(paths[c->line + 1]);
            return 1;
        }
        c->after = now();
    }
    for (struct change *c = changes; c < changes + size; c++)
        printf("%lld %lld\n", c->before, c->after);
    return 0;
}
