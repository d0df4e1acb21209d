/* A V4L2 camera and a V4L2 output for tests, without a kernel module: preloaded, it answers the calls that go
 * to two files. FAKE_CAMERA: a device that gives 320x240 YUYV at 30 or 640x480 MJPG (which it cannot, really),
 * its picture a grey that counts up with each frame. While the file FAKE_UNPLUGGED exists, it is gone.
 * FAKE_OUTPUT: a loopback device; what is written to it can be read from the file.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 320, HEIGHT = 240, SIZE = WIDTH * HEIGHT * 2, BUFFERS = 4 };

static int kinds[1024]; /* by descriptor: 1 camera, 2 output */
static unsigned char *memory[BUFFERS];
static int queue[64], queued, taken;
static unsigned frames;
static struct { unsigned id; int value; } controls[] = {
    {V4L2_CID_EXPOSURE_AUTO, 3},    {V4L2_CID_EXPOSURE_ABSOLUTE, 157},
    {V4L2_CID_AUTO_WHITE_BALANCE, 1}, {V4L2_CID_WHITE_BALANCE_TEMPERATURE, 4600},
};

static int gone(void) {
    const char *path = getenv("FAKE_UNPLUGGED");
    return path && access(path, F_OK) == 0;
}

static int kind_of(const char *path) {
    const char *camera = getenv("FAKE_CAMERA"), *output = getenv("FAKE_OUTPUT");
    if (camera && strcmp(path, camera) == 0) return 1;
    if (output && strcmp(path, output) == 0) return 2;
    return 0;
}

static int open_as(const char *name, const char *path, int flags, mode_t mode) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
    int kind = kind_of(path);
    if (kind == 1 && gone()) { errno = ENOENT; return -1; }
    int file = real(path, flags, mode);
    if (file >= 0 && file < 1024) kinds[file] = kind;
    return file;
}

int open(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest);
    return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest);
    return open_as("open64", path, flags, mode);
}

int close(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    if (file >= 0 && file < 1024) kinds[file] = 0;
    return real(file);
}

static void *map(const char *name, void *at, size_t size, int how, int flags, int file, off64_t offset) {
    if (file >= 0 && file < 1024 && kinds[file] == 1) {
        void *(*real)(void *, size_t, int, int, int, off64_t) = dlsym(RTLD_NEXT, name);
        return memory[offset / SIZE] = real(NULL, size, how, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    void *(*real)(void *, size_t, int, int, int, off64_t) = dlsym(RTLD_NEXT, name);
    return real(at, size, how, flags, file, offset);
}

void *mmap(void *at, size_t size, int how, int flags, int file, off_t offset) {
    return map("mmap", at, size, how, flags, file, offset);
}

void *mmap64(void *at, size_t size, int how, int flags, int file, off64_t offset) {
    return map("mmap64", at, size, how, flags, file, offset);
}

static int fail(int code) { errno = code; return -1; }

static void describe(struct v4l2_pix_format *pix) {
    pix->width = WIDTH; pix->height = HEIGHT; pix->pixelformat = V4L2_PIX_FMT_YUYV;
    pix->field = V4L2_FIELD_NONE; pix->bytesperline = 2 * WIDTH; pix->sizeimage = SIZE;
}

static int control(unsigned long request, struct v4l2_control *asked) {
    for (unsigned i = 0; i < sizeof controls / sizeof *controls; i++)
        if (controls[i].id == asked->id) {
            if (request == VIDIOC_G_CTRL) asked->value = controls[i].value;
            else controls[i].value = asked->value;
            /* Like many: taken off automatic, it falls back to an exposure of its own. */
            if (request == VIDIOC_S_CTRL && asked->id == V4L2_CID_EXPOSURE_AUTO && asked->value == 1)
                controls[1].value = 250;
            return 0;
        }
    return fail(EINVAL);
}

static int enumerate(unsigned long request, void *data) {
    if (request == VIDIOC_ENUM_FMT) {
        struct v4l2_fmtdesc *entry = data;
        if (entry->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || entry->index > 1) return fail(EINVAL);
        entry->pixelformat = entry->index ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
        return 0;
    }
    if (request == VIDIOC_ENUM_FRAMESIZES) {
        struct v4l2_frmsizeenum *entry = data;
        if (entry->index > 0) return fail(EINVAL);
        entry->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        entry->discrete.width = entry->pixel_format == V4L2_PIX_FMT_YUYV ? WIDTH : 640;
        entry->discrete.height = entry->pixel_format == V4L2_PIX_FMT_YUYV ? HEIGHT : 480;
        return 0;
    }
    struct v4l2_frmivalenum *entry = data;
    if (entry->index > 1) return fail(EINVAL);
    entry->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    entry->discrete.numerator = 1;
    entry->discrete.denominator = entry->index ? 15 : 30;
    return 0;
}

static int dequeue(struct v4l2_buffer *buffer) {
    struct timespec pause = {0, 33000000}, now;
    nanosleep(&pause, NULL);
    if (gone()) return fail(ENODEV);
    if (taken == queued) return fail(EAGAIN);
    int index = queue[taken++ % 64];
    memset(memory[index], 16 + frames % 200, SIZE);
    for (int i = 1; i < SIZE; i += 2) memory[index][i] = 128;
    clock_gettime(CLOCK_MONOTONIC, &now);
    buffer->index = index; buffer->bytesused = SIZE; buffer->sequence = frames++;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp.tv_sec = now.tv_sec; buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    return 0;
}

static int camera(unsigned long request, void *data) {
    if (gone()) return fail(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = data;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->driver, "uvcvideo");
        strcpy((char *)capability->card, "Fake Webcam");
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_OUTPUT;
        return 0;
    }
    case VIDIOC_ENUM_FMT: case VIDIOC_ENUM_FRAMESIZES: case VIDIOC_ENUM_FRAMEINTERVALS:
        return enumerate(request, data);
    case VIDIOC_G_FMT: case VIDIOC_S_FMT: case VIDIOC_TRY_FMT:
        describe(&((struct v4l2_format *)data)->fmt.pix);
        return 0;
    case VIDIOC_G_PARM: case VIDIOC_S_PARM: {
        struct v4l2_captureparm *capture = &((struct v4l2_streamparm *)data)->parm.capture;
        capture->capability = V4L2_CAP_TIMEPERFRAME;
        capture->timeperframe.numerator = 1; capture->timeperframe.denominator = 30;
        return 0;
    }
    case VIDIOC_G_INPUT: case VIDIOC_S_INPUT: *(int *)data = 0; return 0;
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = data;
        if (input->index) return fail(EINVAL);
        memset(input, 0, sizeof *input);
        input->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_QUERYCTRL: {
        struct v4l2_queryctrl *query = data;
        struct v4l2_control asked = {query->id, 0};
        query->flags = 0;
        return control(VIDIOC_G_CTRL, &asked);
    }
    case VIDIOC_G_CTRL: case VIDIOC_S_CTRL: return control(request, data);
    case VIDIOC_REQBUFS: ((struct v4l2_requestbuffers *)data)->count = BUFFERS; queued = taken = 0; return 0;
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = data;
        buffer->length = SIZE; buffer->m.offset = buffer->index * SIZE;
        return 0;
    }
    case VIDIOC_QBUF: queue[queued++ % 64] = ((struct v4l2_buffer *)data)->index; return 0;
    case VIDIOC_DQBUF: return dequeue(data);
    case VIDIOC_STREAMON: case VIDIOC_STREAMOFF: return 0;
    }
    return fail(ENOTTY);
}

static int output(unsigned long request, void *data) {
    if (request == VIDIOC_QUERYCAP) {
        struct v4l2_capability *capability = data;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->driver, "v4l2 loopback");
        strcpy((char *)capability->card, "cleanplate");
        capability->device_caps = V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_READWRITE;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    if (request == VIDIOC_S_FMT) {
        struct v4l2_format *format = data;
        if (format->type != V4L2_BUF_TYPE_VIDEO_OUTPUT) return fail(EINVAL);
        if (format->fmt.pix.width > 4096) format->fmt.pix.width = 4096;
        return 0;
    }
    return request == VIDIOC_S_PARM ? 0 : fail(ENOTTY);
}

int ioctl(int file, unsigned long request, ...) {
    va_list rest; va_start(rest, request); void *data = va_arg(rest, void *); va_end(rest);
    int kind = file >= 0 && file < 1024 ? kinds[file] : 0;
    /* Python hands the number over as a signed int. */
    request &= 0xffffffff;
    if (kind == 1) return camera(request, data);
    if (kind == 2) return output(request, data);
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return real(file, request, data);
}
