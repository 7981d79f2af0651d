/* A relay and input board made with libmodbus: libmodbus_board TTY BAUD UNIT
 *
 * Eight coils and eight discrete inputs from address 0; input 1 follows coil 8. It prints "ready", and
 * "coils 00000000" after every write. Words on standard input, one a line: "answer", "silent" (hears nothing),
 * "late" (every reply after 0.4 s), "crc" (the last byte of every reply is wrong).
 */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void tell(const modbus_mapping_t *map)
{
    char states[9] = {0};
    for (int n = 0; n < 8; n++)
        states[n] = map->tab_bits[n] ? '1' : '0';
    printf("coils %s\n", states);
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
    char mode[32] = "answer", line[32];
    for (;;) {
        struct pollfd ready[2] = {{modbus_get_socket(bus), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        if (poll(ready, 2, -1) < 0)
            return 1;
        if (ready[1].revents) {
            ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
            if (size <= 0)
                return 0;
            line[size] = '\0';
            strcpy(mode, strtok(line, "\n"));
        }
        if (!ready[0].revents)
            continue;
        uint8_t request[MODBUS_RTU_MAX_ADU_LENGTH];
        int length = modbus_receive(bus, request);
        if (length < 0 && errno == EIO)
            return 0;
        if (length <= 0 || strcmp(mode, "silent") == 0)
            continue;
        if (strcmp(mode, "late") == 0)
            usleep(400000);
        map->tab_input_bits[0] = map->tab_bits[7];
        if (strcmp(mode, "crc") == 0)
            reply_damaged(bus, request, length, map);
        else
            modbus_reply(bus, request, length, map);
        map->tab_input_bits[0] = map->tab_bits[7];
        if (request[1] == 5 || request[1] == 15)
            tell(map);
    }
}
