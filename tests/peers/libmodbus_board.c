/* A relay and input board made with libmodbus: libmodbus_board TTY BAUD UNIT
 *
 * Eight coils and eight discrete inputs from address 0. It prints "ready", "coils 00000000" whenever they may have
 * changed, and "input N 0|1 SECONDS" (of CLOCK_MONOTONIC) for each input that is set. Words on standard input, one a line:
 *
 *   input N on|off     what an input says from now on
 *   power off|on       hears nothing and drops its coils; back with all of them off
 *   late               every reply comes at random up to 0.4 s late
 *   crc, wrongunit     every second reply, at random, has a wrong CRC or another unit
 *   silent             hears nothing
 *   answer             none of all that
 */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int powered = 1;
static char mode[16] = "answer";

static int is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void tell(const modbus_mapping_t *map)
{
    char states[9] = {0};
    for (int n = 0; n < 8; n++)
        states[n] = map->tab_bits[n] ? '1' : '0';
    printf("coils %s\n", states);
}

static void obey(char *line, modbus_mapping_t *map)
{
    int number;
    char state[8];
    struct timespec now;
    if (sscanf(line, "input %d %7s", &number, state) == 2 && number >= 1 && number <= 8) {
        map->tab_input_bits[number - 1] = strcmp(state, "on") == 0;
        clock_gettime(CLOCK_MONOTONIC, &now);
        printf("input %d %d %ld.%09ld\n", number, map->tab_input_bits[number - 1], (long)now.tv_sec, now.tv_nsec);
    } else if (sscanf(line, "power %7s", state) == 1) {
        powered = strcmp(state, "on") == 0;
        memset(map->tab_bits, 0, 8);
        tell(map);
    } else {
        snprintf(mode, sizeof mode, "%.15s", line);
    }
}

/* Every whole line that waits on standard input; 0 at its end. */
static int obey_all(modbus_mapping_t *map)
{
    static char text[512];
    static size_t length;
    ssize_t size = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
    if (size <= 0)
        return 0;
    length += size;
    text[length] = '\0';
    char *rest = text, *end;
    while ((end = strchr(rest, '\n')) != NULL) {
        *end = '\0';
        obey(rest, map);
        rest = end + 1;
    }
    length = strlen(rest);
    memmove(text, rest, length);
    return 1;
}

/* libmodbus has no fault of its own: the same reply, built by modbus_reply on a pipe, is passed on damaged. */
static int reply_damaged(modbus_t *bus, const uint8_t *request, int length, modbus_mapping_t *map)
{
    int tty = modbus_get_socket(bus), ends[2];
    uint8_t frame[MODBUS_RTU_MAX_ADU_LENGTH];
    if (pipe(ends) < 0)
        return -1;
    modbus_set_socket(bus, ends[1]);
    int sent = modbus_reply(bus, request, length, map);
    modbus_set_socket(bus, tty);
    ssize_t size = sent > 0 ? read(ends[0], frame, sizeof frame) : -1;
    close(ends[0]);
    close(ends[1]);
    if (size <= 0)
        return -1;
    frame[size - 1] ^= 0x55;
    return write(tty, frame, size) == size ? sent : -1;
}

static void answer(modbus_t *bus, uint8_t *request, int length, modbus_mapping_t *map)
{
    int strikes = rand() % 2;
    if (is("late"))
        usleep(rand() % 400000);
    if (is("wrongunit") && strikes)
        request[0] = request[0] % 247 + 1;
    if (is("crc") && strikes)
        reply_damaged(bus, request, length, map);
    else
        modbus_reply(bus, request, length, map);
    if (request[1] == MODBUS_FC_WRITE_SINGLE_COIL || request[1] == MODBUS_FC_WRITE_MULTIPLE_COILS)
        tell(map);
}

int main(int count, char **words)
{
    if (count != 4) {
        fprintf(stderr, "usage: %s TTY BAUD UNIT\n", words[0]);
        return 2;
    }
    modbus_t *bus = modbus_new_rtu(words[1], atoi(words[2]), 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(8, 8, 0, 0);
    if (bus == NULL || map == NULL || modbus_set_slave(bus, atoi(words[3])) < 0 || modbus_connect(bus) < 0) {
        fprintf(stderr, "%s: %s\n", words[1], modbus_strerror(errno));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (;;) {
        struct pollfd ready[2] = {{modbus_get_socket(bus), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        uint8_t request[MODBUS_RTU_MAX_ADU_LENGTH];
        if (poll(ready, 2, -1) < 0)
            return 1;
        if (ready[1].revents && !obey_all(map))
            return 0;
        if (!ready[0].revents)
            continue;
        int length = modbus_receive(bus, request);
        if (length < 0 && errno == EIO)
            return 0;
        if (length > 0 && powered && !is("silent"))
            answer(bus, request, length, map);
    }
}
