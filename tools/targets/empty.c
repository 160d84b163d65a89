/* Nothing but start-up, to know its size. */
int main(void)
{
    return 0;
}
